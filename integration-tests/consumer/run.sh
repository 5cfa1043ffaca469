#!/usr/bin/env bash
# Builds and runs a project outside the reactor against the installed artifacts: on the module path
# and on the class path. Installs into a repository below target/, never into the user's own.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/target/consumer

rm -rf "$work"
mkdir -p "$work"

# What the user's own repository holds of third parties serves as a remote one, so that it is not
# downloaded again.
repository() { # element
  printf '<%s><id>downloaded</id><url>file://%s/.m2/repository</url>' "$1" "$HOME"
  printf '<releases><checksumPolicy>ignore</checksumPolicy></releases></%s>' "$1"
}
cat >"$work/settings.xml" <<SETTINGS
<settings>
  <profiles>
    <profile>
      <id>consumer</id>
      <repositories>$(repository repository)</repositories>
      <pluginRepositories>$(repository pluginRepository)</pluginRepositories>
    </profile>
  </profiles>
  <activeProfiles><activeProfile>consumer</activeProfile></activeProfiles>
</settings>
SETTINGS
maven=(mvn -B -q -Dstyle.color=never -gs "$work/settings.xml" "-Dmaven.repo.local=$work/repository")

echo "consumer: installing the artifacts into $work/repository"
(cd "$root" && "${maven[@]}" -DskipTests -Dexec.skip=true install)

echo "consumer: building it against them"
version=$(sed -n 's:^  <version>\(.*\)</version>.*:\1:p' "$root/pom.xml" | head -n 1)
cp -R "$here/pom.xml" "$here/src" "$work/"
(cd "$work" && "${maven[@]}" "-Dparallelcomp.version=$version" package)

text=$root/samples/moby-dick-1-45-with-notes.txt.gz
question="Where does Mira keep the silver key?"
expected="in the lighthouse"

check() { # name, output
  if [ "$(printf '%s\n' "$2" | head -n 1)" != "$expected" ]; then
    printf 'consumer: on the %s it answered:\n%s\n' "$1" "$2" >&2
    exit 1
  fi
  echo "consumer: on the $1 it answered: $expected"
}

java=$("$root/parallelcomp" --launcher-java)

check "module path" "$("$java" --add-modules ALL-MODULE-PATH \
  --enable-native-access=ai.djl.tokenizers,com.sun.jna --module-path \
  "$work/target/lib:$work/target/consumer-1.jar" --module com.example.consumer/com.example.Ask "$text" "$question")"
check "class path" "$("$java" --enable-native-access=ALL-UNNAMED --add-modules jdk.incubator.vector \
  --class-path "$work/target/lib/*:$work/target/consumer-1.jar" com.example.Ask "$text" "$question")"
