#!/bin/sh
# Measures the backend on ONNX Runtime beside backend-cpu-vector and natively built llama.cpp in one sitting, in turn, and
# prints Markdown: against the goals, every timing, a long question, where the time goes, what the precisions lose. 20 minutes.
#   scripts/benchmark-onnx.sh >docs/performance-onnx-figures.md
# Environment: ROUNDS (2) how often the timings are repeated; ONLY=decode for decoding SmolLM2 alone, in minutes; ONLY=speed for
# all timings; ONLY=quality for what the precisions lose, which a busy machine does not change.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
rounds=${ROUNDS:-2}
peers=$(scripts/peers.sh)
needle=$root/models/needle-6m/src/main/resources/org/parallelcomp/models/needle6m/needle-6m-q8_0.gguf
smollm2=$root/models/SmolLM2-135M-Instruct.Q4_1.gguf
[ -f integration-tests/target/test-classpath.txt ] || mvn -q -B -DskipTests package >&2
java=$(./parallelcomp --launcher-java)
work=$root/target/benchmark-onnx
rm -rf "$work"
mkdir -p "$work"
cat >"$work/ours" <<SCRIPT
#!/bin/sh
# class, arguments; in the folder where the tests run, since the held-out text lies beside it
cd "$root/integration-tests"
exec "$java" -Xmx2g --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \\
  -XX:+UseSerialGC -XX:+UseCountedLoopSafepoints -XX:LoopStripMiningIter=1000 \\
  -cp "target/test-classes:\$(cat target/test-classpath.txt)" "\$@" 2>>"$work/errors"
SCRIPT
chmod +x "$work/ours"
ours() {
  "$work/ours" "$@"
}
mine() { # backend, option, model, prefill, decode, repetitions
  name=$1${2:+ $2}
  # shellcheck disable=SC2086
  ours org.parallelcomp.it.DecoderBenchmark "$3" "$4" "$5" "$6" 2 "$1" ${2:+"$2"} | sed "s/^| /| $name, /"
}
theirs() { # model, prefill, decode, repetitions
  "$peers/llama-bench" -m "$1" -t 2 -p "$2" -n "$3" -fa 0,1 -r "$4" -o jsonl 2>>"$work/errors" |
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
# The two are close, so two warm processes prefill in turns, and the one that begins changes.
in_turns() {
  python3 - "$work/ours" "$smollm2" 20 <<'PYTHON' >>"$work/turns"
import subprocess, sys

ours, model, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])


def start(*backend):
    command = [ours, "org.parallelcomp.it.DecoderBenchmark", model, "2048", "0", "0", "2", *backend]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "warm\n"
    return process


def prefill(process):
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


java, runtime = start("cpu-vector"), start("onnx", "precision=f32")
for turn in range(turns):
    if turn % 2 == 0:
        of_java = prefill(java)
        of_runtime = prefill(runtime)
    else:
        of_runtime = prefill(runtime)
        of_java = prefill(java)
    print("| %.1f | %.1f | %.2f |" % (of_java, of_runtime, of_runtime / of_java))
for process in (java, runtime):
    process.stdin.close()
    process.wait()
PYTHON
}
decode_round() {
  for precision in int8 int4; do
    mine onnx "precision=$precision" "$smollm2" 0 64 9
  done
  mine onnx precision=int8 "$peers/SmolLM2-135M-Instruct.Q4_0.gguf" 0 64 9
  for type in Q4_0 Q8_0; do
    theirs "$peers/SmolLM2-135M-Instruct.$type.gguf" 0 64 5
  done
  theirs "$smollm2" 0 64 5
}
prefill_round() {
  for option in "cpu-vector" "onnx precision=f32" "onnx precision=int8"; do
    # shellcheck disable=SC2086
    set -- $option
    mine "$1" "${2:-}" "$needle" 1920 64 3
  done
  in_turns
  mine cpu-vector "" "$smollm2" 0 64 3
  mine onnx precision=f32 "$smollm2" 0 64 3
  mine onnx precision=int8 "$smollm2" 2048 0 3
  mine onnx precision=int4 "$smollm2" 2048 0 3
  for type in Q4_0 Q8_0; do
    theirs "$peers/SmolLM2-135M-Instruct.$type.gguf" 2048 0 2
  done
  theirs "$peers/SmolLM2-135M-Instruct.F16.gguf" 2048 64 2
  theirs "$smollm2" 2048 0 2
}
goals() {
  echo "## Against the goals"
  echo
  python3 - "$work" <<'PYTHON'
import collections, os, re, statistics, sys

medians = collections.defaultdict(list)
for line in open(sys.argv[1] + "/speed"):
    cells = [cell.strip() for cell in line.strip("|\n ").split("|")]
    medians[cells[0], cells[1]].append(float(cells[2].split()[1]))
speed = {key: statistics.median(values) for key, values in medians.items()}
seconds = {}
whole = os.path.exists(sys.argv[1] + "/ask")
for line in open(sys.argv[1] + "/ask") if whole else []:
    cells = [cell.strip() for cell in line.strip("|\n ").split("|")]
    seconds[cells[0]] = float(cells[2])


def ours(what, test):
    return max((v, k[0]) for k, v in speed.items() if re.match(what, k[0]) and k[1] == test and "SmolLM2" in k[0])


def row(name, goal, aim, mine, other, unit="tokens/s"):
    ratio = mine[0] / other[0] if unit == "tokens/s" else other[0] / mine[0]
    print("| %s | %.1f | %.1f | %.2f | %.1f %s, %s | %.1f %s, %s |" % (name, goal, aim, ratio, mine[0], unit, mine[1], other[0], unit, other[1]))


print("| what | must | aim | reached | by | against |")
print("| --- | --- | --- | --- | --- | --- |")
if whole:
    turns = [[float(cell) for cell in line.strip("|\n ").split("|")] for line in open(sys.argv[1] + "/turns")]
    of_java, of_runtime, ratio = (statistics.median(turn[i] for turn in turns) for i in range(3))
    print(
        "| prefill of 2,048 tokens, F32 | 1.0 | 1.2 | %.2f, the median of %d turns | %.1f tokens/s, onnx precision=f32 | %.1f tokens/s, cpu-vector |"
        % (ratio, len(turns), of_runtime, of_java)
    )
    row("the same in int8", 1.2, 2.0, ours("onnx precision=int8", "pp2048"), ours("llama.cpp.*Q", "pp2048"))
for form in ("Q4_1", "Q4_0"):
    row("decode, file of " + form, 0.7, 1.0, ours("onnx precision=int8.*" + form, "tg64"), ours("llama.cpp", "tg64"))
if whole:
    asked = min((v, k) for k, v in seconds.items() if k.startswith("onnx"))
    row("ask over 131,072 tokens", 1.0, 1.5, asked, min((v, k) for k, v in seconds.items() if k.startswith("cpu")), "s")
PYTHON
}
timings() {
  echo "## Prefill and decode, tokens per second, in the order in which they were measured"
  echo
  echo "| engine and model | test | | | |"
  echo "| --- | --- | --- | --- | --- |"
  cat "$work/speed"
}
profile() { # tokens of the prompt, tokens of the answer
  mkdir -p "$work/profile-$1"
  ours org.parallelcomp.it.DecoderBenchmark "$smollm2" "$1" "$2" 1 1 onnx precision=int8 "profile=$work/profile-$1/p" >/dev/null
  python3 - "$work/profile-$1" <<'PYTHON'
import collections, glob, json, sys

spent, runs, total = collections.Counter(), collections.Counter(), 0
for name in glob.glob(sys.argv[1] + "/*.json"):
    graph = name.split("/p-")[-1].split("_20")[0]
    for event in json.load(open(name)):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[graph, event["args"]["op_name"]] += event["dur"]
            runs[graph, event["args"]["op_name"]] += 1
        elif event.get("name") == "model_run":
            total += event["dur"]
print("| graph | operator | share | microseconds each |")
print("| --- | --- | --- | --- |")
for (graph, operator), time in spent.most_common(12):
    print("| %s | %s | %.1f %% | %.1f |" % (graph, operator, 100 * time / total, time / runs[graph, operator]))
print("| all | outside of operators | %.1f %% | |" % (100 * (1 - sum(spent.values()) / total)))
PYTHON
}
in_rounds() { # what makes a round
  round=1
  while [ "$round" -le "$rounds" ]; do
    for part in "$@"; do
      "$part"
    done
    round=$((round + 1))
  done >"$work/speed"
}
decode() {
  in_rounds decode_round
  goals
  echo
  timings
}
speed() {
  in_rounds decode_round prefill_round
  [ -d target/lengths ] || ours org.parallelcomp.it.LongTexts "$needle" src/test/resources/heldout ../target/lengths 131072
  for backend in cpu-vector "onnx precision=f32" "onnx precision=int8"; do
    # shellcheck disable=SC2086
    ours org.parallelcomp.it.AskBenchmark "$root/target/lengths/131072.txt" $backend
  done >"$work/ask"
  goals
  echo
  echo "## Prefill of 2,048 tokens, SmolLM2-135M, F32: two warm processes in turns, tokens per second"
  echo
  echo "| cpu-vector | onnx precision=f32 | ratio |"
  echo "| --- | --- | --- |"
  cat "$work/turns"
  echo
  timings
  echo
  echo "## ask over 131,072 tokens, bundled model: two in one process"
  echo
  echo "| backend | first s | second s | facts behind both |"
  echo "| --- | --- | --- | --- |"
  cat "$work/ask"
  echo
  echo "## Where the time goes: operators of one thread, SmolLM2-135M, int8"
  echo
  echo "A prompt of 2,048 tokens:"
  echo
  profile 2048 0
  echo
  echo "64 single tokens:"
  echo
  profile 0 64
}
quality() {
  echo "## What the precisions lose against F32"
  echo
  echo "| model | precision | perplexity of Moby-Dick | loss | token by token | loss | KL of the logits |"
  echo "| --- | --- | --- | --- | --- | --- | --- |"
  ours org.parallelcomp.it.OnnxPrecisionTable "$root/engine/src/test/resources/needle-6m/needle-6m-f16.gguf" 8
  ours org.parallelcomp.it.OnnxPrecisionTable "$smollm2" 2
  echo
  echo "## Retrieval, bundled model, 8,192 tokens: right answers"
  echo
  books=src/test/resources/heldout
  for backend in "--backend=cpu-vector" "--onnx-precision=int8" "--onnx-precision=int4"; do
    echo "\`$backend\`"
    echo
    ours org.parallelcomp.cli.Main eval retrieval --model "$needle" --lengths 8192 --samples 6 --plan=parallelcomp \
      --tasks=passkey,number,multi,fact,two --filler "$books/war-and-peace.txt.gz" --filler "$books/moby-dick.txt.gz" \
      --filler "$books/the-brothers-karamazov.txt.gz" --filler "$books/bleak-house.txt.gz" \
      --out "$work/retrieval" --name "${backend#--*=}" "$backend" | grep "^|"
    echo
  done
}

echo "Measured $(date -u +%Y-%m-%d) on $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $("$java" -version 2>&1 | head -n 1), in $rounds round(s)."
echo
case ${ONLY:-} in
  decode | speed | quality) "$ONLY" ;;
  *)
    speed
    echo
    quality
    ;;
esac
