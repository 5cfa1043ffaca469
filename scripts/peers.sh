#!/bin/sh
# Builds the native peer that benchmarks are measured beside: llama.cpp from the source package of llama-cpp-python,
# tuned to this machine, and SmolLM2-135M-Instruct in the forms that it is compared on.
# Needs python3 with pip, cmake and a C++ compiler. Writes below target/peers; does nothing that is already done.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
peers=$root/target/peers
version=0.3.36
mkdir -p "$peers"

smollm2=$("$root/scripts/fetch-smollm2.sh")
if [ ! -x "$peers/llama-bench" ]; then
  (
    cd "$peers"
    python3 -m pip download --quiet --no-deps --no-binary llama-cpp-python "llama-cpp-python==$version"
    tar xf "llama_cpp_python-$version.tar.gz"
    cmake -S "llama_cpp_python-$version/vendor/llama.cpp" -B build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
      -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF \
      -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF
    cmake --build build -j "$(nproc)" --target llama-bench llama-quantize
    cp build/bin/llama-bench build/bin/llama-quantize .
  ) >&2
fi
for type in F16 Q4_0 Q8_0; do
  file=$peers/SmolLM2-135M-Instruct.$type.gguf
  [ -f "$file" ] || "$peers/llama-quantize" --allow-requantize "$smollm2" "$file" "$type" 2 >&2
done
echo "$peers"
