// Look-up of embeddings in every weight type, and unpacking of whole matrices.
#include "blocks.cuh"

// One block per token.
template <typename T>
static void embedPlain(float* out, const T* table, const int* ids, int dim, int64 outRow) {
  takeTurn();
  const T* row = table + (int64)ids[blockIdx.x] * dim;
  float* result = out + blockIdx.x * outRow;
  for (int i = threadIdx.x; i < dim; i += blockDim.x) result[i] = toFloat(row[i]);
}
KERNEL embed_f32(float* out, const float* table, const int* ids, int dim, int64 outRow) {
  embedPlain(out, table, ids, dim, outRow);
}
KERNEL embed_f16(float* out, const f16* table, const int* ids, int dim, int64 outRow) {
  embedPlain(out, table, ids, dim, outRow);
}
KERNEL embed_bf16(float* out, const bf16* table, const int* ids, int dim, int64 outRow) {
  embedPlain(out, table, ids, dim, outRow);
}

template <typename Block>
static void embedBlocks(float* out, const byte* table, const int* ids, int dim, int64 outRow) {
  takeTurn();
  int units = dim / 32;
  float* result = out + blockIdx.x * outRow;
  for (int unit = threadIdx.x; unit < units; unit += blockDim.x) {
    float x[32];
    Block::unpack(table, (int64)ids[blockIdx.x] * units + unit, x);
#pragma unroll
    for (int i = 0; i < 32; i++) result[32 * unit + i] = x[i];
  }
}

// One thread per 32 numbers.
template <typename Block, typename Out>
static void dequantize(Out* out, const byte* in, int64 n) {
  takeTurn();
  int64 unit = globalThread();
  if (unit >= n / 32) return;
  float x[32];
  Block::unpack(in, unit, x);
#pragma unroll
  for (int i = 0; i < 32; i += 8) {
    float part[8];
#pragma unroll
    for (int k = 0; k < 8; k++) part[k] = x[i + k];
    store8(out + 32 * unit + i, part);
  }
}

#define BLOCK_KERNELS(NAME, BLOCK)                                                            \
  KERNEL embed_##NAME(float* out, const byte* table, const int* ids, int dim, int64 outRow) { \
    embedBlocks<BLOCK>(out, table, ids, dim, outRow);                                         \
  }                                                                                           \
  KERNEL dequantize_##NAME##_f32(float* out, const byte* in, int64 n) {                       \
    dequantize<BLOCK>(out, in, n);                                                            \
  }                                                                                           \
  KERNEL dequantize_##NAME##_bf16(bf16* out, const byte* in, int64 n) {                       \
    dequantize<BLOCK>(out, in, n);                                                            \
  }                                                                                           \
  KERNEL dequantize_##NAME##_f16(f16* out, const byte* in, int64 n) {                         \
    dequantize<BLOCK>(out, in, n);                                                            \
  }
FOR_BLOCK_TYPES(BLOCK_KERNELS)
