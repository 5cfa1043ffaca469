#!/usr/bin/env bash
# Builds a backend outside the reactor against the artifacts that ../consumer/run.sh installed, runs
# the conformance kit on it, and answers a question with it on the module path and on the class path.
# Its source is the tutorial docs/writing-a-backend.md.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
installed=$root/target/consumer
work=$root/target/backend

[ -d "$installed/repository" ] || {
  echo "backend: the artifacts are not installed; run integration-tests/consumer/run.sh first." >&2
  exit 1
}
rm -rf "$work" "$work-broken"
mkdir -p "$work"
cp -R "$here/pom.xml" "$here/src" "$work/"

echo "backend: building it and running the conformance kit on it"
version=$(sed -n 's:^  <version>\(.*\)</version>.*:\1:p' "$root/pom.xml" | head -n 1)
(cd "$work" && mvn -B -q -Dstyle.color=never -gs "$installed/settings.xml" \
  "-Dmaven.repo.local=$installed/repository" "-Dparallelcomp.version=$version" package)

fail() { # what, output
  printf 'backend: %s:\n%s\n' "$1" "$2" >&2
  exit 1
}

tests=$(grep -c '<testcase' "$work"/target/surefire-reports/TEST-*.xml)
[ "$tests" -ge 100 ] || fail "the kit did not run" "$tests tests"

# The kit that found nothing would find a fault: softmax without the maximum.
echo "backend: breaking it, to see the kit fail"
cp -R "$work" "$work-broken"
sed -i.bak 's/Math.exp(each - max)/Math.exp(each)/' \
  "$work-broken/src/main/java/com/example/parallelcomp/Vectors.java"
found=$(cd "$work-broken" && mvn -B -q -Dstyle.color=never -gs "$installed/settings.xml" \
  "-Dmaven.repo.local=$installed/repository" "-Dparallelcomp.version=$version" \
  -Dparallelcomp.conformance.rule=B207 test 2>&1) && fail "the kit saw nothing wrong" "$found"
rm -rf "$work-broken"
case $found in
  *"Repeat with: "*"parallelcomp.conformance.rule=B207"*) echo "backend: B207 found the fault" ;;
  *) fail "the broken backend failed otherwise" "$found" ;;
esac

text=$work/text.txt
printf '%s ' "It was a dark night." "Mira keeps the silver key in the lighthouse." \
  "The wind blew from the sea, and nobody was awake." >"$text"
question="Where does Mira keep the silver key?"
expected="in the lighthouse"
jar=$work/target/scalar-backend-1.jar
java=$("$root/parallelcomp" --launcher-java)
main=org.parallelcomp.cli.Main
"$root/parallelcomp" --version >/dev/null # builds the command where it is missing
lib=$root/cli/target/dist/lib

on_module_path() {
  "$java" --add-modules ALL-MODULE-PATH --enable-native-access=ai.djl.tokenizers,ai.djl.api,com.sun.jna \
    --module-path "$lib:$jar" --module org.parallelcomp.cli/$main "$@"
}
on_class_path() {
  "$java" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
    --class-path "$lib/*:$jar" $main "$@"
}

for way in on_module_path on_class_path; do
  listed=$($way backends)
  case $listed in
    *"scalar: plain Java, one number after another"*) ;;
    *) fail "$way: 'backends' does not list it" "$listed" ;;
  esac
  answer=$($way ask --backend scalar --quiet --text "$text" "$question")
  [ "$answer" = "$expected" ] || fail "$way it answered" "$answer"
  echo "backend: $way it answered: $expected"
done

# Without a choice the best backend is taken, which it is not; without the jar it is unknown.
chosen=$(on_module_path ask --json --text "$text" "$question")
case $chosen in
  *'"scalar"'*) fail "it was taken without having been chosen" "$chosen" ;;
esac
unknown=$("$root/parallelcomp" ask --backend scalar --text "$text" "$question" 2>&1 || true)
case $unknown in
  *"There is no backend 'scalar'"*) echo "backend: without its jar it is unknown" ;;
  *) fail "it is known without its jar" "$unknown" ;;
esac
