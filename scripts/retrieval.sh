#!/bin/sh
# Counts right answers of presets on seeded cases and prints them as a Markdown table; what was missed goes to standard error.
#   scripts/retrieval.sh MODEL.gguf TOKENS CASES PLAN... [--tasks=passkey,number,multi,fact,two] [--lead] [--instruction=…] [--question-form=…]
# A PLAN is a preset, perhaps with changes: "parallelcomp + budget.keep=512 + merge=reread". See docs/retrieval.md.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
[ -f integration-tests/target/test-classpath.txt ] || mvn -q -B -DskipTests package >&2
model=$1
shift
exec "$(./parallelcomp --launcher-java)" -Xmx2g --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
  -cp "integration-tests/target/test-classes:$(cat integration-tests/target/test-classpath.txt)" \
  org.parallelcomp.it.RetrievalTable "$model" integration-tests/src/test/resources/heldout "$@"
