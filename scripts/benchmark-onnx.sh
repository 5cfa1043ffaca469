#!/bin/sh
# Measures the backend on ONNX Runtime beside backend-cpu-vector and natively built llama.cpp in one sitting, in turn, and
# prints Markdown; what its precisions lose comes last.
#   scripts/benchmark-onnx.sh >docs/performance-onnx-figures.md
# Environment: ROUNDS (3) how often the timings are repeated.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
rounds=${ROUNDS:-3}
peers=$(scripts/peers.sh)
needle=$root/models/needle-6m/src/main/resources/org/parallelcomp/models/needle6m/needle-6m-q8_0.gguf
smollm2=$root/models/SmolLM2-135M-Instruct.Q4_1.gguf
[ -f integration-tests/target/test-classpath.txt ] || mvn -q -B -DskipTests package >&2
java=$(./parallelcomp --launcher-java)
ours() { # class, arguments; in the folder where the tests run, since the held-out text lies beside it
  (
    cd integration-tests
    "$java" -Xmx2g --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
      -XX:+UseSerialGC -XX:+UseCountedLoopSafepoints -XX:LoopStripMiningIter=1000 \
      -cp "target/test-classes:$(cat target/test-classpath.txt)" "$@" 2>/dev/null
  )
}
mine() { # backend, option, model, prefill, decode
  name=$1${2:+ $2}
  # shellcheck disable=SC2086
  ours org.parallelcomp.it.DecoderBenchmark "$3" "$4" "$5" 3 2 "$1" ${2:+"$2"} | sed "s/^| /| $name, /"
}
theirs() { # model, prefill, decode
  "$peers/llama-bench" -m "$1" -t 2 -p "$2" -n "$3" -fa 0,1 -r 3 -o jsonl 2>/dev/null |
    python3 -c '
import json, statistics, sys
for line in sys.stdin:
    r = json.loads(line)
    s = r["samples_ts"]
    test = "pp%d" % r["n_prompt"] if r["n_prompt"] else "tg%d" % r["n_gen"]
    name = r["model_filename"].split("/")[-1]
    row = (r["flash_attn"], name, test, statistics.median(s), max(s), len(s))
    print("| llama.cpp -fa %d, %s | %s | median %.1f | best %.1f | of %d |" % row)'
}

echo "Measured $(date -u +%Y-%m-%d) on $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $("$java" -version 2>&1 | head -n 1)."
echo
echo "## Prefill and decode, tokens per second"
echo
echo "| engine and model | test | | | |"
echo "| --- | --- | --- | --- | --- |"
round=1
while [ "$round" -le "$rounds" ]; do
  for model in "$needle" "$smollm2"; do
    prefill=2048
    [ "$model" != "$needle" ] || prefill=1920
    mine cpu-vector "" "$model" "$prefill" 64
    for precision in f32 int8 int4; do
      mine onnx "precision=$precision" "$model" "$prefill" 64
    done
  done
  for type in F16 Q4_0 Q8_0; do
    theirs "$peers/SmolLM2-135M-Instruct.$type.gguf" 2048 64
  done
  theirs "$smollm2" 2048 64
  round=$((round + 1))
done
echo
echo "## ask over 131,072 tokens, bundled model, in one process: seconds of the second of two runs"
echo
[ -d target/lengths ] || ours org.parallelcomp.it.LongTexts "$needle" src/test/resources/heldout ../target/lengths 131072
echo "| backend | first s | second s | facts |"
echo "| --- | --- | --- | --- |"
for backend in cpu-vector "onnx precision=f32" "onnx precision=int8"; do
  # shellcheck disable=SC2086
  ours org.parallelcomp.it.AskBenchmark "$root/target/lengths/131072.txt" $backend
done
echo
echo "## What the precisions lose against F32"
echo
echo "| model | precision | perplexity of Moby-Dick | loss | KL of the logits |"
echo "| --- | --- | --- | --- | --- |"
ours org.parallelcomp.it.OnnxPrecisionTable "$root/engine/src/test/resources/needle-6m/needle-6m-f16.gguf" 16
ours org.parallelcomp.it.OnnxPrecisionTable "$smollm2" 2
