// The elementwise parts of a decoder layer. Matrix products hand over BF16 or F16 where their
// callers chose so; sums and functions are in F32.
#include "common.cuh"

// RMSNorm, one block per row: out = in / sqrt(mean(in²) + epsilon) * weight. The walk's first
// stride is of out, its second of in.
template <typename In, typename Out>
static void rmsNorm(Out* out, const In* in, const float* weight, int dim, float epsilon,
                    const Walk& walk) {
  constexpr int HELD = 2;  // groups of eight numbers that a thread holds between the passes
  int64 at[2];
  offsets(walk, blockIdx.x, at);
  Out* result = out + at[0];
  const In* row = in + at[1];
  takeTurn();
  bool vectors = dim % 8 == 0 && dim <= 8 * HELD * blockDim.x && isAligned(row, 16) &&
                 isAligned(result, 16) && isAligned(weight, 16);
  float squares = 0;
  if (vectors) {
    float x[HELD][8];
#pragma unroll
    for (int j = 0; j < HELD; j++) {
      int i = 8 * (threadIdx.x + j * blockDim.x);
      if (i < dim) {
        load8(row + i, x[j]);
#pragma unroll
        for (int k = 0; k < 8; k++) squares += x[j][k] * x[j][k];
      }
    }
    float scale = rsqrtf(reduceBlock(squares, 0.0f, Sum()) / dim + epsilon);
#pragma unroll
    for (int j = 0; j < HELD; j++) {
      int i = 8 * (threadIdx.x + j * blockDim.x);
      if (i < dim) {
        float w[8];
        load8(weight + i, w);
#pragma unroll
        for (int k = 0; k < 8; k++) w[k] *= x[j][k] * scale;
        store8(result + i, w);
      }
    }
    return;
  }
  for (int i = threadIdx.x; i < dim; i += blockDim.x) {
    float x = toFloat(row[i]);
    squares += x * x;
  }
  float scale = rsqrtf(reduceBlock(squares, 0.0f, Sum()) / dim + epsilon);
  for (int i = threadIdx.x; i < dim; i += blockDim.x) {
    result[i] = fromFloat<Out>(toFloat(row[i]) * scale * weight[i]);
  }
}
#define RMS_NORM(IN, IN_TYPE, OUT, OUT_TYPE)                                                  \
  KERNEL rms_norm_##IN##_##OUT(OUT_TYPE* out, const IN_TYPE* in, const float* weight,         \
                               int dim, float epsilon, const __grid_constant__ Walk walk) {   \
    rmsNorm(out, in, weight, dim, epsilon, walk);                                             \
  }
RMS_NORM(f32, float, f32, float)
RMS_NORM(f32, float, bf16, bf16)
RMS_NORM(f32, float, f16, f16)
RMS_NORM(bf16, bf16, bf16, bf16)
RMS_NORM(f16, f16, f16, f16)

// Heads that are rotated in place: those of the queries, or of the keys.
struct Heads {
  float* first;
  int64 tokenStride, headStride;
  int count;
  int unused;
};

// Rotary embedding; style 0 pairs neighbours, 1 the first half with the second. Each thread takes up
// to eight pairs of one head, of the first or of the second tensor.
KERNEL rope_f32(const __grid_constant__ Heads a, const __grid_constant__ Heads b,
                const int* positions, const float* cosines, const float* sines, int tokens,
                int headDim, int pairs, int style) {
  takeTurn();
  int groups = (pairs + 7) / 8;
  int heads = a.count + b.count;
  int64 i = globalThread();
  int token = (int)(i / groups / heads);
  if (token >= tokens) return;
  int first = (int)(i % groups) * 8;
  int head = (int)(i / groups % heads);
  const Heads& tensor = head < a.count ? a : b;
  if (head >= a.count) head -= a.count;
  float* x = tensor.first + token * tensor.tokenStride + head * tensor.headStride;
  int64 table = (int64)positions[token] * pairs;
  cosines += table;
  sines += table;
  bool vectors = style == 1 && pairs % 8 == 0 && isAligned(x, 16) && isAligned(cosines, 16) &&
                 isAligned(sines, 16);
  if (vectors) {
    float u[8], v[8], c[8], s[8];
    load8(x + first, u);
    load8(x + pairs + first, v);
    load8(cosines + first, c);
    load8(sines + first, s);
#pragma unroll
    for (int k = 0; k < 8; k++) {
      float left = u[k];
      u[k] = left * c[k] - v[k] * s[k];
      v[k] = left * s[k] + v[k] * c[k];
    }
    store8(x + first, u);
    store8(x + pairs + first, v);
    return;
  }
  for (int pair = first; pair < min(first + 8, pairs); pair++) {
    int left = style == 0 ? 2 * pair : pair;
    int right = style == 0 ? 2 * pair + 1 : pair + pairs;
    float u = x[left];
    float v = x[right];
    x[left] = u * cosines[pair] - v * sines[pair];
    x[right] = u * sines[pair] + v * cosines[pair];
  }
}

// out = gate / (1 + exp(-gate)) * up, eight columns per thread.
template <typename In, typename Out>
static void swiGlu(Out* out, const In* gate, const In* up, int64 rows, int columns, int64 outRow,
                   int64 gateRow, int64 upRow) {
  takeTurn();
  auto activate = [](float g, float u) { return g / (1 + __expf(-g)) * u; };
  auto exact = [](float g, float u) { return g / (1 + expf(-g)) * u; };
  int groups = (columns + 7) / 8;
  int64 i = globalThread();
  int64 row = i / groups;
  if (row >= rows) return;
  int first = (int)(i - row * groups) * 8;
  out += row * outRow + first;
  gate += row * gateRow + first;
  up += row * upRow + first;
  if (first + 8 <= columns && isAligned(out, 16) && isAligned(gate, 16) && isAligned(up, 16)) {
    float g[8], u[8];
    load8(gate, g);
    load8(up, u);
#pragma unroll
    for (int k = 0; k < 8; k++) {
      g[k] = sizeof(In) == 2 ? activate(g[k], u[k]) : exact(g[k], u[k]);
    }
    store8(out, g);
  } else {
    for (int k = 0; k < min(8, columns - first); k++) {
      out[k] = fromFloat<Out>(exact(toFloat(gate[k]), toFloat(up[k])));
    }
  }
}
#define SWIGLU(IN, IN_TYPE, OUT, OUT_TYPE)                                                    \
  KERNEL swiglu_##IN##_##OUT(OUT_TYPE* out, const IN_TYPE* gate, const IN_TYPE* up,           \
                             int64 rows, int columns, int64 outRow, int64 gateRow,            \
                             int64 upRow) {                                                   \
    swiGlu(out, gate, up, rows, columns, outRow, gateRow, upRow);                             \
  }
SWIGLU(f32, float, f32, float)
SWIGLU(f32, float, bf16, bf16)
SWIGLU(f32, float, f16, f16)
SWIGLU(bf16, bf16, bf16, bf16)
SWIGLU(f16, f16, f16, f16)
