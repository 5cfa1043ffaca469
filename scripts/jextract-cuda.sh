#!/bin/sh
# Writes the bindings of backend-cuda-ffm anew, from the lists in backend-cuda-ffm/bindings and NVIDIA's headers. The build
# does not need it: what it writes is committed and never edited.
#
#   scripts/jextract-cuda.sh [folder with cuda.h, nvrtc.h and cublasLt.h [folder with cudnn_graph.h]]
#
# The folders are by default $CUDA_HOME/include and the first one. jextract must be on PATH.
set -eu

cuda=${1:-${CUDA_HOME:?names no folder; give the folder with cuda.h}/include}
cudnn=${2:-$cuda}
module=$(cd "$(dirname "$0")/../backend-cuda-ffm" && pwd)
package=org.parallelcomp.backend.cuda.bindings
out=$module/src/main/java/$(echo $package | tr . /)

for file in "$cuda/cuda.h" "$cuda/nvrtc.h" "$cuda/cublasLt.h" "$cudnn/cudnn_graph.h"; do
  [ -r "$file" ] || { echo "jextract-cuda: there is no $file" >&2; exit 2; }
done
command -v jextract >/dev/null || { echo "jextract-cuda: jextract is not on PATH" >&2; exit 2; }

# bind LIST CLASS HEADER
bind() {
  jextract --include-dir "$cuda" --include-dir "$cuda/cccl" --include-dir "$cudnn" \
    --target-package $package --header-class-name "$2" --output "$module/src/main/java" \
    "@$module/bindings/$1.includes" "$3"
}

mkdir -p "$out"
find "$out" -name '*.java' ! -name package-info.java -delete 2>/dev/null || true
bind driver CudaDriver "$cuda/cuda.h"
bind nvrtc Nvrtc "$cuda/nvrtc.h"
bind cublaslt CublasLt "$cuda/cublasLt.h"
bind cudnn Cudnn "$cudnn/cudnn_graph.h"
