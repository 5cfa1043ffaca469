// Elementwise operations, moves and conversions.
#include "common.cuh"

KERNEL binary_f32(float* out, const float* a, const float* b, int64 n, int op,
                  const __grid_constant__ Walk walk) {
  takeTurn();
  int64 i = globalThread();
  if (i >= n) return;
  int64 at[2];
  offsets(walk, i, at);
  float x = a[at[0]];
  float y = b[at[1]];
  switch (op) {
    case 0: out[i] = x + y; break;
    case 1: out[i] = x - y; break;
    case 2: out[i] = x * y; break;
    default: out[i] = x / y; break;
  }
}

KERNEL unary_f32(float* out, const float* a, int64 n, int op, float p, float q,
                 const __grid_constant__ Walk walk) {
  takeTurn();
  int64 i = globalThread();
  if (i >= n) return;
  float x = a[offset(walk, i)];
  switch (op) {
    case 0: out[i] = expf(x); break;
    case 1: out[i] = logf(x); break;
    case 2: out[i] = sqrtf(x); break;
    case 3: out[i] = p * x + q; break;
    default: out[i] = x > p ? 1.0f : 0.0f; break;
  }
}

KERNEL where_f32(float* out, const float* mask, const float* a, const float* b, int64 n,
                 const __grid_constant__ Walk walk) {
  takeTurn();
  int64 i = globalThread();
  if (i >= n) return;
  int64 at[3];
  offsets(walk, i, at);
  out[i] = mask[at[0]] != 0 ? a[at[1]] : b[at[2]];
}

KERNEL fill_f32(float* out, int64 n, float value) {
  takeTurn();
  int64 i = globalThread();
  if (i < n) out[i] = value;
}

KERNEL range_f32(float* out, int64 n) {
  takeTurn();
  int64 i = globalThread();
  if (i < n) out[i] = (float)i;
}

// Moves elements from one strided place to another: transposes, concatenations, copies of views.
template <typename Element>
static void copy(Element* out, const Element* in, int64 n, const Walk& walk) {
  int64 i = globalThread();
  if (i >= n) return;
  int64 at[2];
  offsets(walk, i, at);
  out[at[0]] = in[at[1]];
}
KERNEL copy_4(uint32* out, const uint32* in, int64 n, const __grid_constant__ Walk walk) {
  takeTurn();
  copy(out, in, n, walk);
}
KERNEL copy_2(unsigned short* out, const unsigned short* in, int64 n,
              const __grid_constant__ Walk walk) {
  takeTurn();
  copy(out, in, n, walk);
}

// out[..., i] = in[..., indices[..., i]]; the walk's stride of `in` is 0 along the innermost axis.
KERNEL gather_4(uint32* out, const uint32* in, const int* indices, int64 n,
                const __grid_constant__ Walk walk) {
  takeTurn();
  int64 i = globalThread();
  if (i >= n) return;
  int64 at[2];
  offsets(walk, i, at);
  out[i] = in[at[0] + indices[at[1]]];
}

// Calls body(row, column) for the up to four columns of this thread.
template <typename Body>
static void fourColumns(int64 rows, int columns, Body body) {
  int quads = (columns + 3) / 4;
  int64 i = globalThread();
  int64 row = i / quads;
  if (row >= rows) return;
  int first = (int)(i - row * quads) * 4;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    if (first + k < columns) body(row, first + k);
  }
}

// Eight columns per thread.
template <typename In, typename Out>
static void convert(Out* out, const In* in, int64 rows, int columns, int64 outRow, int64 inRow) {
  takeTurn();
  int groups = (columns + 7) / 8;
  int64 i = globalThread();
  int64 row = i / groups;
  if (row >= rows) return;
  int first = (int)(i - row * groups) * 8;
  out += row * outRow + first;
  in += row * inRow + first;
  if (first + 8 <= columns && isAligned(out, 16) && isAligned(in, 16)) {
    float x[8];
    load8(in, x);
    store8(out, x);
  } else {
    for (int k = 0; k < min(8, columns - first); k++) out[k] = fromFloat<Out>(toFloat(in[k]));
  }
}
#define CONVERT(FROM, FROM_TYPE, TO, TO_TYPE)                                                  \
  KERNEL convert_##FROM##_##TO(TO_TYPE* out, const FROM_TYPE* in, int64 rows, int columns,     \
                               int64 outRow, int64 inRow) {                                    \
    convert(out, in, rows, columns, outRow, inRow);                                            \
  }
CONVERT(f32, float, bf16, bf16)
CONVERT(f32, float, f16, f16)
CONVERT(bf16, bf16, f32, float)
CONVERT(bf16, bf16, f16, f16)
CONVERT(f16, f16, f32, float)
CONVERT(f16, f16, bf16, bf16)

KERNEL add_f32(float* inOut, const float* term, int64 rows, int columns, int64 inOutRow,
               int64 termRow) {
  takeTurn();
  fourColumns(rows, columns, [&](int64 row, int column) {
    inOut[row * inOutRow + column] += term[row * termRow + column];
  });
}

KERNEL add_bias_f32(float* inOut, const float* bias, int64 rows, int columns, int64 inOutRow) {
  takeTurn();
  fourColumns(rows, columns,
              [&](int64 row, int column) { inOut[row * inOutRow + column] += bias[column]; });
}
