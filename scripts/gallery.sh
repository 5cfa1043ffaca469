#!/bin/sh
# Makes the pictures and tables of docs/gallery with the bundled model; takes minutes, passes over what is there and goes
# on where it was stopped.
# Times are left out: they belong to the performance pages.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
book=samples/moby-dick-1-45-with-notes.txt.gz
out=docs/gallery
evaluate() {
  kind=$1
  shift
  [ ! -e "$out/$kind.json" ] || return 0
  ${RUN:-./parallelcomp} eval "$kind" --filler "$book" --out "$out" --no-times "$@"
  # The cases are in the JSON file too; beside it they would only be there to go on with.
  rm "$out/$kind.cases.jsonl"
}
evaluate needle --plan parallelcomp --plan streaming-llm --lengths 4K,8K,16K,32K,64K,128K --depths 0,25,50,75,100
evaluate retrieval --plan parallelcomp --plan parallelcomp-reread --plan parallelcomp-adaptive --lengths 4K,16K --samples 2
evaluate ppl --lengths 1K,2K,4K,8K --samples 2 --scored-tokens 48
evaluate compare --kv-bytes 1M --lengths 4K --samples 2 --tasks number,fact,two
scripts/insert-tables.sh "$out/README.md" "$out"
