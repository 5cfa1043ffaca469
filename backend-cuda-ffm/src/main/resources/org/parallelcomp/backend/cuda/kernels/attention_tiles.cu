// Attention of many rows over a 16-bit cache on the matrix units: FlashAttention-2 (arXiv
// 2307.08691) with ragged kv heads.
#include "attention.cuh"

// A block of four warps takes 64 rows of one query head; each warp has 16 of them, with its
// queries, its part of the output and the statistics of its rows in registers. Keys and values
// pass through shared memory in two stages, KEYS at a time. N is headDim rounded up; what is
// beyond headDim is zero. Shared rows are padded by 16 bytes against bank conflicts. The keys may be
// cut into `splits` parts, each of which writes a result of its own; they are merged afterwards.
template <typename T, int N, int KEYS>
static void attend(void* out, int outHalf, float* lse, const void* queries, int queriesHalf,
                   const Sequence* sequences, const Range* ranges, float scale, int queryHeads,
                   int kvHeads, int headDim, int64 outRow, int64 outHead, int64 queryRow,
                   int64 queryHead, int64 lseHead, int splits, int64 outSplit, int64 lseSplit) {
  takeTurn();
  constexpr int ROWS = 64;
  constexpr int THREADS = 128;
  constexpr int STRIDE = N + 8;
  constexpr int STEPS = N / 16;
  extern __shared__ __align__(16) unsigned short shared[];
  unsigned short* queryTile = shared;
  unsigned short* keyTiles = queryTile + ROWS * STRIDE;
  unsigned short* valueTiles = keyTiles + 2 * KEYS * STRIDE;

  const Sequence sequence = sequences[blockIdx.z / splits];
  int part = blockIdx.z % splits;
  // The last rows have the most work, so they come first.
  int tiles = (sequence.rows + ROWS - 1) / ROWS;
  int tile = tiles - 1 - blockIdx.x;
  if (tile < 0) return;
  int head = blockIdx.y;
  int kvHead = head / (queryHeads / kvHeads);
  const Range range = ranges[blockIdx.z / splits * kvHeads + kvHead];
  int firstRow = tile * ROWS;
  int warp = threadIdx.x / 32;
  int lane = threadIdx.x % 32;
  // Keys are counted from the first visible one. Row i sees `seen + i` of them if causal.
  int keys = range.to - range.from;
  int seen = sequence.visibleEnd(range, 0) - range.from;
  int lastRow = min(firstRow + ROWS, sequence.rows) - 1;
  int tileKeys = sequence.causal ? min(keys, seen + lastRow) : keys;
  int64 firstKey = (int64)(range.firstSlot + range.from) * headDim;
  int perPart = ((tileKeys + KEYS - 1) / KEYS + splits - 1) / splits * KEYS;
  int partFrom = min(part * perPart, tileKeys);
  int partTo = min(partFrom + perPart, tileKeys);

  auto fetch = [&](int stage, int from) {
    for (int i = threadIdx.x; i < KEYS * (N / 8); i += THREADS) {
      int key = i / (N / 8);
      int d = i % (N / 8) * 8;
      bool present = from + key < keys && d < headDim;
      int64 at = present ? firstKey + (int64)(from + key) * headDim + d : 0;
      int to = (stage * KEYS + key) * STRIDE + d;
      copyAsync(keyTiles + to, (const T*)sequence.keys + at, present);
      copyAsync(valueTiles + to, (const T*)sequence.values + at, present);
    }
    commitCopies();
  };
  if (partFrom < partTo) fetch(0, partFrom);
  for (int i = threadIdx.x; i < ROWS * (N / 8); i += THREADS) {
    int row = i / (N / 8);
    int d = i % (N / 8) * 8;
    uint4 x = make_uint4(0, 0, 0, 0);
    if (firstRow + row < sequence.rows && d < headDim) {
      x = loadQuery8<T>(queries, queriesHalf,
                        (sequence.firstRow + firstRow + row) * queryRow + head * queryHead + d);
    }
    *reinterpret_cast<uint4*>(queryTile + row * STRIDE + d) = x;
  }
  __syncthreads();
  const unsigned short* ownQueries =
      queryTile + (warp * 16 + lane % 16) * STRIDE + lane / 16 * 8;
  constexpr bool HOLD_QUERIES = N <= 128;
  uint32 held[HOLD_QUERIES ? STEPS : 1][4];
  if (HOLD_QUERIES) {
#pragma unroll
    for (int step = 0; step < STEPS; step++) loadMatrices(held[step], ownQueries + 16 * step);
  }

  float output[N / 8][4] = {};
  float most[2] = {-INFINITE, -INFINITE};  // of the products times scale · log2(e)
  float sum[2] = {};                       // of this lane's columns only, until the end
  float factor = scale * LOG2_E;
  int ownRow = firstRow + warp * 16 + lane / 4;
  int ends[2];
#pragma unroll
  for (int r = 0; r < 2; r++) {
    ends[r] = sequence.causal ? min(keys, seen + ownRow + 8 * r) : keys;
  }

  for (int from = partFrom, stage = 0; from < partTo; from += KEYS, stage ^= 1) {
    if (from + KEYS < partTo) {
      fetch(stage ^ 1, from + KEYS);
      awaitCopies<1>();
    } else {
      awaitCopies<0>();
    }
    __syncthreads();
    const unsigned short* keyTile = keyTiles + stage * KEYS * STRIDE;
    const unsigned short* valueTile = valueTiles + stage * KEYS * STRIDE;

    float products[KEYS / 8][4] = {};
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
      uint32 loaded[4];
      if (!HOLD_QUERIES) loadMatrices(loaded, ownQueries + 16 * step);
      const uint32(&query)[4] = HOLD_QUERIES ? held[HOLD_QUERIES ? step : 0] : loaded;
#pragma unroll
      for (int n = 0; n < KEYS; n += 16) {
        uint32 key[4];
        loadMatrices(key, keyTile + (n + lane / 16 * 8 + lane % 8) * STRIDE + 16 * step +
                              lane / 8 % 2 * 8);
        multiplyTiles<T>(products[n / 8], query, key[0], key[1]);
        multiplyTiles<T>(products[n / 8 + 1], query, key[2], key[3]);
      }
    }

    bool cut = from + KEYS > min(ends[0], ends[1]);
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        products[n][i] *= factor;
        int key = from + 8 * n + 2 * (lane % 4) + i % 2;
        if (cut && key >= ends[i / 2]) products[n][i] = -INFINITE;
      }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float now = most[r];
#pragma unroll
      for (int n = 0; n < KEYS / 8; n++) {
        now = fmaxf(now, fmaxf(products[n][2 * r], products[n][2 * r + 1]));
      }
      now = fmaxf(now, __shfl_xor_sync(ALL_LANES, now, 1));
      now = fmaxf(now, __shfl_xor_sync(ALL_LANES, now, 2));
      // A row that has seen nothing yet must not subtract infinity from infinity.
      float base = now == -INFINITE ? 0 : now;
      float shrink = fastExp2(most[r] - base);
      most[r] = now;
      sum[r] *= shrink;
#pragma unroll
      for (int n = 0; n < N / 8; n++) {
        output[n][2 * r] *= shrink;
        output[n][2 * r + 1] *= shrink;
      }
#pragma unroll
      for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
        for (int i = 2 * r; i < 2 * r + 2; i++) {
          products[n][i] = fastExp2(products[n][i] - base);
          sum[r] += products[n][i];
        }
      }
    }

#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) {
      uint32 weights[4] = {packPair<T>(products[2 * k][0], products[2 * k][1]),
                           packPair<T>(products[2 * k][2], products[2 * k][3]),
                           packPair<T>(products[2 * k + 1][0], products[2 * k + 1][1]),
                           packPair<T>(products[2 * k + 1][2], products[2 * k + 1][3])};
#pragma unroll
      for (int d = 0; d < N; d += 16) {
        uint32 value[4];
        loadMatricesTransposed(value,
                               valueTile + (16 * k + lane % 16) * STRIDE + d + lane / 16 * 8);
        multiplyTiles<T>(output[d / 8], weights, value[0], value[1]);
        multiplyTiles<T>(output[d / 8 + 1], weights, value[2], value[3]);
      }
    }
    __syncthreads();
  }

#pragma unroll
  for (int r = 0; r < 2; r++) {
    sum[r] += __shfl_xor_sync(ALL_LANES, sum[r], 1);
    sum[r] += __shfl_xor_sync(ALL_LANES, sum[r], 2);
    int row = ownRow + 8 * r;
    if (row >= sequence.rows) continue;
    int64 token = sequence.firstRow + row;
    float inverse = sum[r] > 0 ? 1 / sum[r] : most[r] == -INFINITE ? 0 : 1 / sum[r];
    int64 at = part * outSplit + token * outRow + head * outHead;
#pragma unroll
    for (int n = 0; n < N / 8; n++) {
      int d = 8 * n + 2 * (lane % 4);
      if (d < headDim) {
        float x = output[n][2 * r] * inverse;
        float y = output[n][2 * r + 1] * inverse;
        if (outHalf) {
          *reinterpret_cast<uint32*>((T*)out + at + d) = packPair<T>(x, y);
        } else {
          ((float*)out)[at + d] = x;
          ((float*)out)[at + d + 1] = y;
        }
      }
    }
    if (lse != nullptr && lane % 4 == 0) {
      lse[part * lseSplit + head * lseHead + token] =
          most[r] == -INFINITE ? -INFINITE : most[r] * LN_2 + logf(sum[r]);
    }
  }
}

#define ATTEND(CACHE, TYPE, N, KEYS)                                                          \
  KERNEL __launch_bounds__(128)                                                               \
      attend_##CACHE##_d##N(void* out, int outHalf, float* lse, const void* queries,          \
                            int queriesHalf, const Sequence* sequences, const Range* ranges,  \
                            float scale, int queryHeads, int kvHeads, int headDim,            \
                            int64 outRow, int64 outHead, int64 queryRow, int64 queryHead,     \
                            int64 lseHead, int splits, int64 outSplit, int64 lseSplit) {      \
    attend<TYPE, N, KEYS>(out, outHalf, lse, queries, queriesHalf, sequences, ranges, scale,  \
                          queryHeads, kvHeads, headDim, outRow, outHead, queryRow, queryHead, \
                          lseHead, splits, outSplit, lseSplit);                               \
  }
ATTEND(bf16, bf16, 64, 64)
ATTEND(bf16, bf16, 128, 64)
ATTEND(bf16, bf16, 256, 32)
ATTEND(f16, f16, 64, 64)
ATTEND(f16, f16, 128, 64)
ATTEND(f16, f16, 256, 32)
