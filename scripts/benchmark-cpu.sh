#!/bin/sh
# Measures the CPU backend beside natively built llama.cpp in one sitting, pair by pair, and prints Markdown.
#   scripts/benchmark-cpu.sh >docs/performance-cpu-figures.md
# Environment: ROUNDS (3) how often each pair is repeated; ONLY=decode for decoding SmolLM2 alone, in minutes; REFERENCE folder
# of needle-6m with training/reference.py, and PYTHON with torch, to time the PyTorch reference too (left out where they are
# not given).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
rounds=${ROUNDS:-3}
peers=$(scripts/peers.sh)
needle=$root/engine/src/test/resources/needle-6m/needle-6m-f16.gguf
needle_q8=$root/models/needle-6m/src/main/resources/org/parallelcomp/models/needle6m/needle-6m-q8_0.gguf
smollm2=$root/models/SmolLM2-135M-Instruct.Q4_1.gguf
[ -d integration-tests/target/test-classes ] || mvn -q -B -DskipTests package >&2
java=$(./parallelcomp --launcher-java)
ours() { # class, arguments
  class=$1
  shift
  "$java" -Xmx2g --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
    -cp "integration-tests/target/test-classes:backend-cpu-vector/target/test-classes:$(cat integration-tests/target/test-classpath.txt)" \
    "$class" "$@" 2>/dev/null
}
[ -d target/lengths ] || ours org.parallelcomp.it.LongTexts "$needle_q8" integration-tests/src/test/resources/heldout \
  target/lengths 16384 32768 65536 131072 262144
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
mine() { ours org.parallelcomp.it.DecoderBenchmark "$@" | sed 's/^| /| ours, /'; }
whole_round() {
  mine "$needle_q8" 1920 0 5
  theirs "$needle" 1920 0
  theirs "$needle_q8" 1920 0
  mine "$smollm2" 2048 64 3
  for type in F16 Q4_0 Q8_0; do
    theirs "$peers/SmolLM2-135M-Instruct.$type.gguf" 2048 64
  done
  theirs "$smollm2" 2048 64
}
decode_round() {
  mine "$smollm2" 0 64 5
  theirs "$smollm2" 0 64
}
speed() { # which round
  echo "| engine and model | test | | | |"
  echo "| --- | --- | --- | --- | --- |"
  round=1
  while [ "$round" -le "$rounds" ]; do
    "$1"
    round=$((round + 1))
  done
}

echo "Measured $(date -u +%Y-%m-%d) on $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $("$java" -version 2>&1 | head -n 1)."
echo
if [ "${ONLY:-}" = decode ]; then
  speed decode_round
  exit
fi
echo "## Kernels, share of the cores' own F32 FMA peak (register-only loop in the same process)"
echo
ours org.parallelcomp.backend.cpu.vector.KernelBenchmark
echo
echo "## Prefill and decode, tokens per second"
echo
speed whole_round
echo
echo "## ask, whole process, cold, by length"
echo
echo "| tokens | plan | wall s | user s | peak resident MiB | first token s |"
echo "| --- | --- | --- | --- | --- | --- |"
for text in target/lengths/*.txt; do
  for plan in "--preset parallelcomp" "--preset parallelcomp --chunk-tokens 1920 --keep-chunks 4"; do
    # shellcheck disable=SC2086
    /usr/bin/time -f '%e %U %M' -o target/time.txt ./parallelcomp ask --json $plan --text "$text" "What is the pass key?" >target/answer.json 2>/dev/null
    python3 - "$text" "$plan" <<'PY'
import json, sys
wall, user, kib = open("target/time.txt").read().split()
r = json.load(open("target/answer.json"))
f = r["figures"]
print(f"| {f['textTokens']} | `{sys.argv[2]}` | {wall} | {user} | {int(kib) // 1024} | {f['firstTokenSeconds']:.2f} |")
PY
  done
done
if [ -n "${REFERENCE:-}" ]; then
  for text in target/lengths/032768.txt target/lengths/131072.txt; do
    /usr/bin/time -f '%e %U %M' -o target/time.txt "$PYTHON" "$REFERENCE/training/reference.py" "$REFERENCE" "$text" "What is the pass key?" >/dev/null 2>&1
    read -r wall user kib <target/time.txt
    echo "| $(basename "$text" .txt) | PyTorch reference, float32 | $wall | $user | $((kib / 1024)) | |"
  done
fi
