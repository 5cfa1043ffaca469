#!/bin/sh
# Repeats the paper's studies on a model: chunks kept, calibration by zone and layers (tables 6 and 8), pooling, budget, length of
# chunks, window. Result files and tables go to docs/study; what is there is passed over, and what was stopped goes on. On two
# cores it takes an hour or more.
#   scripts/study.sh [MODEL.gguf]        SAMPLES=20 LENGTH=8K TASKS=number,multi,two STUDIES=all by default
# The tables are put into docs/study.md. Without a model the bundled one. With SmolLM2-135M: scripts/fetch-smollm2.sh first.
# Of a model that is named, texts past its window are counted too: that is for a GPU (OPTIONS="--backend cuda-ffm").
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
samples=${SAMPLES:-20}
length=${LENGTH:-8K}
tasks=${TASKS:-number,multi,two}
out=docs/study
fillers="--filler samples/moby-dick-1-45-with-notes.txt.gz"
paper=parallelcomp-paper
calibrated=parallelcomp-calibrated
if [ $# -gt 0 ]; then
  label=$(basename "$1" .gguf | tr 'A-Z.' 'a-z-')
  model=$1
  # With the released pool of 7 such a model finds no number, and where none is found calibration cannot cost one.
  paper="$paper + token-scorer.pool=21"
  calibrated="$calibrated + token-scorer.pool=21"
  # The words that the model's own evaluation found best.
  words() {
    "$@" --model "$model" --lead '--instruction=Read the text and answer the question at the end.\n\n' \
      '--question-form=\n\nQuestion: {question}\nAnswer with the exact words of the text.'
  }
else
  label=needle-6m
  words() { "$@"; }
fi
# study NAME PLAN...: all plans on the same cases.
study() {
  case " ${STUDIES:-all} " in
    *" all "* | *" $1 "*) ;;
    *) return 0 ;;
  esac
  name=$label-$1
  shift
  [ ! -e "$out/$name.json" ] || return 0
  for plan in "$@"; do
    set -- "$@" "--plan=$plan"
    shift
  done
  words ${RUN:-./parallelcomp} eval retrieval ${OPTIONS:-} $fillers --out "$out" --name "$name" \
    --no-times --no-pictures --lengths "$length" --samples "$samples" --tasks "$tasks" "$@"
  rm "$out/$name.cases.jsonl"
}
all="+ budget=everything"
study kept-chunks \
  "parallelcomp $all" "parallelcomp + chunk-eviction.chunks=2 $all" "parallelcomp + chunk-eviction.chunks=4 $all" \
  "parallelcomp + chunk-eviction.chunks=8 $all" \
  "parallelcomp + chunk-eviction.chunks=2" "parallelcomp + chunk-eviction.chunks=4" "parallelcomp + chunk-eviction.chunks=8" \
  "parallelcomp + chunking.tokens=240 + chunk-eviction.chunks=4 + merge=reread $all"
study calibration \
  "$paper" "$calibrated" \
  $(: one zone in one quarter of the depth, as in tables 6 and 8) \
  "$paper + calibration=attention-threshold(ranges=0%-25%:sink:0.1)" \
  "$paper + calibration=attention-threshold(ranges=25%-50%:sink:0.1)" \
  "$paper + calibration=attention-threshold(ranges=50%-75%:sink:0.1)" \
  "$paper + calibration=attention-threshold(ranges=75%-100%:sink:0.1)" \
  "$paper + calibration=attention-threshold(ranges=0%-25%:middle:0.1)" \
  "$paper + calibration=attention-threshold(ranges=25%-50%:middle:0.1)" \
  "$paper + calibration=attention-threshold(ranges=50%-75%:middle:0.1)" \
  "$paper + calibration=attention-threshold(ranges=75%-100%:middle:0.1)" \
  "$paper + calibration=attention-threshold(ranges=0%-25%:recent:0.1)" \
  "$paper + calibration=attention-threshold(ranges=25%-50%:recent:0.1)" \
  "$paper + calibration=attention-threshold(ranges=50%-75%:recent:0.1)" \
  "$paper + calibration=attention-threshold(ranges=75%-100%:recent:0.1)"
study pooling \
  "parallelcomp + token-scorer.pool=1" "parallelcomp + token-scorer.pool=7" "parallelcomp + token-scorer.pool=21" \
  "parallelcomp + token-scorer.pool=41"
study budget \
  "parallelcomp + budget.keep=32" "parallelcomp + budget.keep=64" "parallelcomp + budget.keep=128" \
  "parallelcomp + budget.keep=256" "parallelcomp $all"
study chunk-size \
  "parallelcomp + chunking.tokens=240 $all" "parallelcomp + chunking.tokens=512 $all" \
  "parallelcomp + chunking.tokens=1024 $all" "parallelcomp + chunking.tokens=0 $all"
study window \
  "parallelcomp + token-scorer.window=1" "parallelcomp + token-scorer.window=4" "parallelcomp + token-scorer.window=8" \
  "parallelcomp + token-scorer.window=16"
# Where the question looks, layer by layer, before and after calibration.
if [ ! -e "$out/$label-bias.json" ]; then
  words ${RUN:-./parallelcomp} eval bias ${OPTIONS:-} $fillers --out "$out" --name "$label-bias" --no-times \
    --lengths "$length" --samples "${BIAS_SAMPLES:-8}"
  rm "$out/$label-bias.cases.jsonl"
fi
if [ "$label" != needle-6m ]; then
  held=integration-tests/src/test/resources/heldout
  fillers="--filler $held/war-and-peace.txt.gz --filler $held/moby-dick.txt.gz --filler $held/the-brothers-karamazov.txt.gz"
  fillers="$fillers --filler $held/bleak-house.txt.gz"
  tasks=passkey,number,multi,fact
  length=8K,16K,32K,64K,128K
  samples=${LONG_SAMPLES:-10}
  study lengths "parallelcomp" "truncation"
  study lengths-chunks "parallelcomp + chunk-eviction.chunks=2" "parallelcomp + chunk-eviction.chunks=4"
  samples=${OTHER_SAMPLES:-5}
  study lengths-others "parallelcomp + chunking.tokens=1024 + budget.keep=512" \
    "parallelcomp + chunking.tokens=2048 + budget.keep=512" "streaming-llm" "full"
fi
scripts/insert-tables.sh docs/study.md "$out"
