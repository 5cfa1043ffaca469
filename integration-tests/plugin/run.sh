#!/usr/bin/env bash
# Builds a policy outside the reactor against the artifacts that ../consumer/run.sh installed, runs
# its test, and answers a question with it from a plugins folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
installed=$root/target/consumer
work=$root/target/plugin

[ -d "$installed/repository" ] || {
  echo "plugin: the artifacts are not installed; run integration-tests/consumer/run.sh first." >&2
  exit 1
}
rm -rf "$work"
mkdir -p "$work/plugins"
cp -R "$here/pom.xml" "$here/src" "$work/"

echo "plugin: building and testing it"
version=$(sed -n 's:^  <version>\(.*\)</version>.*:\1:p' "$root/pom.xml" | head -n 1)
(cd "$work" && mvn -B -q -Dstyle.color=never -gs "$installed/settings.xml" \
  "-Dmaven.repo.local=$installed/repository" "-Dparallelcomp.version=$version" package)
cp "$work/target/policies-1.jar" "$work/plugins/"

fail() { # what, output
  printf 'plugin: %s:\n%s\n' "$1" "$2" >&2
  exit 1
}

listed=$("$root/parallelcomp" policies value-norm --plugins "$work/plugins")
case $listed in
  *"pool=5 tokens"*) echo "plugin: 'policies' describes it" ;;
  *) fail "'policies' does not describe it" "$listed" ;;
esac

answer=$("$root/parallelcomp" ask --plugins "$work/plugins" \
  --text "$root/samples/moby-dick-1-45-with-notes.txt.gz" \
  --policy "token-scorer=value-norm(pool=21)" --keep-tokens 400 --json \
  "Where does Mira keep the silver key?")
case $answer in
  *'"token-scorer" : "value-norm(pool=21)"'*) echo "plugin: a question was answered with it" ;;
  *) fail "the result does not name it" "$answer" ;;
esac

unknown=$("$root/parallelcomp" policies value-norm 2>&1 || true)
case $unknown in
  *"There is no policy or preset 'value-norm'"*) echo "plugin: without the folder it is unknown" ;;
  *) fail "it is known without the folder" "$unknown" ;;
esac
