#!/bin/sh
# Counts what every policy finds at the same budgets and writes docs/policies.md; takes up where it was stopped.
#   scripts/policies.sh [--cases=20] [--tokens=32768] [--only=TEXT] [--minutes=N] [--shard=I/N]
#   scripts/policies.sh --times [--cases=5] …    the column of times, on a machine with nothing else to do
# --only runs the rows whose name contains TEXT; --shard=2/3 every third cell, from the second on. Counts are appended to
# docs/policies.tsv (RESULTS=… for another file), the kept chunks of each case lie in integration-tests/target/policy-chunks.
# Delete the tsv to begin anew.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
[ -f integration-tests/target/test-classpath.txt ] || mvn -q -B -DskipTests package >&2
results=${RESULTS:-docs/policies.tsv}
table() {
  "$(./parallelcomp --launcher-java)" -Xmx2g --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
    -cp "integration-tests/target/test-classes:integration-tests/src/test/policy-table:$(cat integration-tests/target/test-classpath.txt)" \
    org.parallelcomp.it.PolicyTable "$@"
}
mode=run
if [ "${1:-}" = --times ]; then
  mode=time
  shift
fi
table $mode models/needle-6m/src/main/resources/org/parallelcomp/models/needle6m/needle-6m-q8_0.gguf \
  integration-tests/src/test/resources/heldout "$results" integration-tests/target/policy-chunks "$@"
table render "$results" > docs/policies.md
