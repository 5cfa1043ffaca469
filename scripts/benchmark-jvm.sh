#!/bin/sh
# Measures the CPU backend beside other JVM engines and llama.cpp in one sitting on SmolLM2-135M and prints Markdown.
#   LLAMA3_JAVA=<a checkout of mukel/llama3.java> scripts/benchmark-jvm.sh >docs/performance-jvm-figures.md
# Jlama comes from Maven Central; it reads safetensors alone, so the model is converted, for which PYTHON needs gguf,
# numpy and safetensors. Environment: ROUNDS (3) how often the engines are measured in turn.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
rounds=${ROUNDS:-3}
python=${PYTHON:-python3}
prefill=2048
decode=64
peers=$(scripts/peers.sh)
smollm2=$root/models/SmolLM2-135M-Instruct.Q4_1.gguf
[ -d integration-tests/target/test-classes ] || mvn -q -B -DskipTests package >&2
java=$(./parallelcomp --launcher-java)
jvm=$peers/jvm
mkdir -p "$jvm"
[ -d "$jvm/lib" ] || mvn -q -B -f scripts/peers-jvm/pom.xml dependency:copy-dependencies -DoutputDirectory="$jvm/lib" >&2
if [ ! -d "$jvm/smollm2" ]; then
  "$python" scripts/peers-jvm/gguf_to_safetensors.py "$smollm2" "$jvm/smollm2" >&2
fi
flags="--enable-preview --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -Xmx4g
  -Djdk.incubator.vector.VECTOR_ACCESS_OOB_CHECK=0"
# shellcheck disable=SC2086
"$(dirname "$java")/javac" -nowarn --enable-preview --release 25 --add-modules jdk.incubator.vector -cp "$jvm/lib/*" \
  -d "$jvm/classes" scripts/peers-jvm/*.java "$LLAMA3_JAVA/Llama3.java" 2>"$jvm/javac.log" || { cat "$jvm/javac.log" >&2; exit 1; }

theirs() { # model
  "$peers/llama-bench" -m "$1" -t 2 -p $prefill -n $decode -fa 0,1 -r 3 -o jsonl 2>/dev/null |
    "$python" -c '
import json, statistics, sys
for line in sys.stdin:
    r = json.loads(line)
    s = r["samples_ts"]
    test = "pp%d" % r["n_prompt"] if r["n_prompt"] else "tg%d" % r["n_gen"]
    name = r["model_filename"].split("/")[-1]
    print("| llama.cpp -fa %d, %s | %s | median %.1f | best %.1f | of %d |"
          % (r["flash_attn"], name, test, statistics.median(s), max(s), len(s)))'
}

echo "Measured $(date -u +%Y-%m-%d) on $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $("$java" -version 2>&1 | head -n 1)."
echo
echo "Tokens per second on SmolLM2-135M-Instruct. Jlama as shipped: its native product drops rows that its splits do not"
echo "divide on this model, so it does less work than the others and its text is wrong."
echo
echo "| engine and weights | test | | | |"
echo "| --- | --- | --- | --- | --- |"
round=1
while [ "$round" -le "$rounds" ]; do
  "$java" -Xmx2g --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
    -cp "integration-tests/target/test-classes:$(cat integration-tests/target/test-classpath.txt)" \
    org.parallelcomp.it.DecoderBenchmark "$smollm2" $prefill $decode 3 2>/dev/null | sed 's/^| /| ours, /'
  for type in F16 Q4_0 Q8_0; do
    theirs "$peers/SmolLM2-135M-Instruct.$type.gguf"
  done
  theirs "$smollm2"
  for model in "$peers/SmolLM2-135M-Instruct.Q8_0.gguf" "$smollm2"; do
    # shellcheck disable=SC2086
    "$java" $flags -cp "$jvm/classes" com.llama4j.Llama3JavaBenchmark "$model" $prefill $decode 1 2>/dev/null | grep '^|'
  done
  # shellcheck disable=SC2086
  "$java" $flags -cp "$jvm/classes:$jvm/lib/*" JlamaBenchmark "$jvm/smollm2" "$jvm/smollm2-q4" $prefill $decode 1 2>/dev/null | grep '^|'
  round=$((round + 1))
done
