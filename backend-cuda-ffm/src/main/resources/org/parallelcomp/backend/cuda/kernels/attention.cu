// Attention over the ragged cache: exact in F32, of few rows split over their keys, merging, and
// the mass that keys receive.
#include "attention.cuh"

// ---- many rows over an F32 cache ----

// A block takes 32 rows of one query head, and 32 keys at a time. Threads compute 2 x 2 products
// each; then eight neighbouring threads share a row of the output.
KERNEL __launch_bounds__(256)
    attend_f32(float* out, int, float* lse, const float* queries, int, const Sequence* sequences,
               const Range* ranges, float scale, int queryHeads, int kvHeads, int headDim,
               int64 outRow, int64 outHead, int64 queryRow, int64 queryHead, int64 lseHead) {
  constexpr int ROWS = 32;
  constexpr int KEYS = 32;
  constexpr int MOST_GROUPS = 8;  // of 32 dimensions
  extern __shared__ __align__(16) float tile[];
  int stride = headDim + 4;
  float* queryTile = tile;
  float* keyTile = queryTile + ROWS * stride;
  float* valueTile = keyTile + KEYS * stride;
  float* products = valueTile + KEYS * stride;
  constexpr int PRODUCTS = KEYS + 4;

  const Sequence sequence = sequences[blockIdx.z];
  int firstRow = blockIdx.x * ROWS;
  if (firstRow >= sequence.rows) return;
  int head = blockIdx.y;
  int kvHead = head / (queryHeads / kvHeads);
  const Range range = ranges[blockIdx.z * kvHeads + kvHead];
  int lastRow = min(firstRow + ROWS, sequence.rows) - 1;
  int tileEnd = sequence.visibleEnd(range, lastRow);

  for (int i = threadIdx.x; i < ROWS * headDim; i += blockDim.x) {
    int row = i / headDim;
    int d = i % headDim;
    queryTile[row * stride + d] =
        firstRow + row < sequence.rows
            ? queries[(sequence.firstRow + firstRow + row) * queryRow + head * queryHead + d]
            : 0;
  }
  int ownRow = threadIdx.x / 8;
  int part = threadIdx.x % 8;
  int ownEnd = firstRow + ownRow < sequence.rows ? sequence.visibleEnd(range, firstRow + ownRow)
                                                 : range.from;
  float output[MOST_GROUPS][4] = {};
  float most = -INFINITE;
  float sum = 0;
  int x = threadIdx.x % 16;
  int y = threadIdx.x / 16;
  for (int from = range.from; from < tileEnd; from += KEYS) {
    __syncthreads();
    for (int i = threadIdx.x; i < KEYS * (headDim / 4); i += blockDim.x) {
      int key = i / (headDim / 4);
      int d = i % (headDim / 4) * 4;
      float4 k = make_float4(0, 0, 0, 0);
      float4 v = k;
      if (from + key < tileEnd) {
        int64 at = (int64)(range.firstSlot + from + key) * headDim + d;
        k = *reinterpret_cast<const float4*>((const float*)sequence.keys + at);
        v = *reinterpret_cast<const float4*>((const float*)sequence.values + at);
      }
      *reinterpret_cast<float4*>(keyTile + key * stride + d) = k;
      *reinterpret_cast<float4*>(valueTile + key * stride + d) = v;
    }
    __syncthreads();
    float dot[2][2] = {};
    for (int d = 0; d < headDim; d += 4) {
      float4 q[2], k[2];
#pragma unroll
      for (int i = 0; i < 2; i++) {
        q[i] = *reinterpret_cast<const float4*>(queryTile + (y + 16 * i) * stride + d);
        k[i] = *reinterpret_cast<const float4*>(keyTile + (x + 16 * i) * stride + d);
      }
#pragma unroll
      for (int i = 0; i < 2; i++) {
#pragma unroll
        for (int j = 0; j < 2; j++) {
          dot[i][j] += q[i].x * k[j].x + q[i].y * k[j].y + q[i].z * k[j].z + q[i].w * k[j].w;
        }
      }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
#pragma unroll
      for (int j = 0; j < 2; j++) products[(y + 16 * i) * PRODUCTS + x + 16 * j] = dot[i][j];
    }
    __syncthreads();
    float own[4];
    float now = most;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int key = part + 8 * i;
      own[i] = from + key < ownEnd ? products[ownRow * PRODUCTS + key] * scale : -INFINITE;
      now = fmaxf(now, own[i]);
    }
#pragma unroll
    for (int distance = 4; distance > 0; distance /= 2) {
      now = fmaxf(now, __shfl_xor_sync(ALL_LANES, now, distance));
    }
    float base = now == -INFINITE ? 0 : now;
    float shrink = expf(most - base);
    most = now;
    sum *= shrink;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      float weight = from + part + 8 * i < ownEnd ? expf(own[i] - base) : 0;
      sum += weight;
      products[ownRow * PRODUCTS + part + 8 * i] = weight;
    }
    __syncwarp();
#pragma unroll
    for (int g = 0; g < MOST_GROUPS; g++) {
#pragma unroll
      for (int i = 0; i < 4; i++) output[g][i] *= shrink;
    }
    for (int key = 0; key < KEYS; key++) {
      // Keys beyond a row's end are skipped: their values may be anything, NaN too.
      if (from + key >= ownEnd) break;
      float weight = products[ownRow * PRODUCTS + key];
#pragma unroll
      for (int g = 0; g < MOST_GROUPS; g++) {
        int d = 32 * g + 4 * part;
        if (d < headDim) {
          float4 v = *reinterpret_cast<const float4*>(valueTile + key * stride + d);
          output[g][0] += weight * v.x;
          output[g][1] += weight * v.y;
          output[g][2] += weight * v.z;
          output[g][3] += weight * v.w;
        }
      }
    }
  }
#pragma unroll
  for (int distance = 4; distance > 0; distance /= 2) {
    sum += __shfl_xor_sync(ALL_LANES, sum, distance);
  }
  if (firstRow + ownRow >= sequence.rows) return;
  int64 token = sequence.firstRow + firstRow + ownRow;
  bool nothing = ownEnd <= range.from;
  float inverse = nothing ? 0 : 1 / sum;
#pragma unroll
  for (int g = 0; g < MOST_GROUPS; g++) {
    int d = 32 * g + 4 * part;
    if (d < headDim) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        out[token * outRow + head * outHead + d + i] = output[g][i] * inverse;
      }
    }
  }
  if (lse != nullptr && part == 0) {
    lse[head * lseHead + token] = nothing ? -INFINITE : most + logf(sum);
  }
}

// ---- few rows: decoding ----

// Eight numbers as they lie in the cache.
template <typename T>
struct Octet {
  uint4 bits[sizeof(T) / 2];
  void load(const T* from) {
#pragma unroll
    for (int i = 0; i < sizeof(T) / 2; i++) bits[i] = reinterpret_cast<const uint4*>(from)[i];
  }
  void clear() {
#pragma unroll
    for (int i = 0; i < sizeof(T) / 2; i++) bits[i] = make_uint4(0, 0, 0, 0);
  }
  void unpack(float (&x)[8]) const { load8(reinterpret_cast<const T*>(bits), x); }
};

// Block (split, kv head, row): the attention of all query heads of a kv head for one row over one
// part of its keys. A team of lanes, eight dimensions each, takes one key at a time for up to HEADS
// query heads, so that keys and values are read once. Teams keep statistics of their own, which
// meet at the end of the block; the last block of a row merges the parts.
template <typename T>
static void attendSplit(float* out, float* lse, const float* queries, const Sequence* sequences,
                        int sequenceCount, const Range* ranges, float scale, int queryHeads,
                        int kvHeads, int headDim, int64 outRow, int64 outHead, int64 queryRow,
                        int64 queryHead, int64 lseHead, float* partial, int* counters) {
  constexpr int HEADS = 4;
  constexpr int KEYS = 4;  // in flight for each team
  constexpr int MOST_WARPS = 8;
  __shared__ __align__(16) float sums[MOST_WARPS][256];
  __shared__ float warpMost[MOST_WARPS][HEADS];
  __shared__ float warpSum[MOST_WARPS][HEADS];
  __shared__ int isLast;
  letNextKernelStart();
  awaitPreviousKernel();

  int token = blockIdx.z;
  int kvHead = blockIdx.y;
  int split = blockIdx.x;
  int splits = gridDim.x;
  int group = queryHeads / kvHeads;
  int s = 0;
  while (s < sequenceCount - 1 && (token < sequences[s].firstRow ||
                                   token >= sequences[s].firstRow + sequences[s].rows)) {
    s++;
  }
  const Sequence sequence = sequences[s];
  const Range range = ranges[s * kvHeads + kvHead];
  int end = sequence.visibleEnd(range, token - sequence.firstRow);
  int keys = max(0, end - range.from);
  int perSplit = (keys + splits - 1) / splits;
  int from = min(split * perSplit, keys);
  int to = min(from + perSplit, keys);
  int64 firstKey = (int64)(range.firstSlot + range.from) * headDim;
  const T* allKeys = (const T*)sequence.keys + firstKey;
  const T* allValues = (const T*)sequence.values + firstKey;

  int team = 1;
  while (team * 8 < headDim) team *= 2;
  int lane = threadIdx.x % 32;
  int warp = threadIdx.x / 32;
  int warps = blockDim.x / 32;
  int teams = blockDim.x / team;
  int ownTeam = threadIdx.x / team;
  int d = threadIdx.x % team * 8;
  bool working = d < headDim;
  float factor = scale * LOG2_E;
  int64 partOfRow = (int64)token * queryHeads;
  int64 stats = (int64)gridDim.z * queryHeads * splits * headDim;

  for (int firstHead = 0; firstHead < group; firstHead += HEADS) {
    int heads = min(HEADS, group - firstHead);
    float query[HEADS][8] = {};
    float output[HEADS][8] = {};
    float most[HEADS], sum[HEADS];
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
      most[h] = -INFINITE;
      sum[h] = 0;
      if (h < heads && working) {
        int head = kvHead * group + firstHead + h;
        load8Anywhere(queries + token * queryRow + head * queryHead + d, query[h]);
      }
    }
    for (int first = from; first < to; first += KEYS * teams) {
      Octet<T> k[KEYS], v[KEYS];
#pragma unroll
      for (int u = 0; u < KEYS; u++) {
        int key = first + u * teams + ownTeam;
        if (working && key < to) {
          k[u].load(allKeys + (int64)key * headDim + d);
          v[u].load(allValues + (int64)key * headDim + d);
        } else {
          k[u].clear();
          v[u].clear();
        }
      }
      float products[HEADS][KEYS];
#pragma unroll
      for (int u = 0; u < KEYS; u++) {
        float x[8];
        k[u].unpack(x);
#pragma unroll
        for (int h = 0; h < HEADS; h++) {
          float dot = 0;
#pragma unroll
          for (int i = 0; i < 8; i++) dot += query[h][i] * x[i];
          products[h][u] = dot;
        }
      }
      for (int distance = team / 2; distance > 0; distance /= 2) {
#pragma unroll
        for (int u = 0; u < KEYS; u++) {
#pragma unroll
          for (int h = 0; h < HEADS; h++) {
            products[h][u] += __shfl_xor_sync(ALL_LANES, products[h][u], distance);
          }
        }
      }
#pragma unroll
      for (int h = 0; h < HEADS; h++) {
        float now = most[h];
#pragma unroll
        for (int u = 0; u < KEYS; u++) {
          bool present = first + u * teams + ownTeam < to;
          products[h][u] = present ? products[h][u] * factor : -INFINITE;
          now = fmaxf(now, products[h][u]);
        }
        float base = now == -INFINITE ? 0 : now;
        float shrink = fastExp2(most[h] - base);
        most[h] = now;
        sum[h] *= shrink;
#pragma unroll
        for (int i = 0; i < 8; i++) output[h][i] *= shrink;
#pragma unroll
        for (int u = 0; u < KEYS; u++) {
          products[h][u] = fastExp2(products[h][u] - base);
          sum[h] += products[h][u];
        }
      }
#pragma unroll
      for (int u = 0; u < KEYS; u++) {
        float x[8];
        v[u].unpack(x);
#pragma unroll
        for (int h = 0; h < HEADS; h++) {
#pragma unroll
          for (int i = 0; i < 8; i++) output[h][i] += products[h][u] * x[i];
        }
      }
    }

    // The teams meet: first the greatest product of the block, then the sums relative to it.
    __syncthreads();
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
      float now = reduceWarp(most[h], [](float a, float b) { return fmaxf(a, b); });
      if (lane == 0) warpMost[warp][h] = now;
    }
    __syncthreads();
    float blockMost[HEADS];
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
      float now = warpMost[0][h];
      for (int w = 1; w < warps; w++) now = fmaxf(now, warpMost[w][h]);
      blockMost[h] = now;
      float shrink = now == -INFINITE ? 0 : fastExp2(most[h] - now);
      sum[h] *= shrink;
#pragma unroll
      for (int i = 0; i < 8; i++) output[h][i] *= shrink;
    }
    for (int distance = 16; distance >= team; distance /= 2) {
#pragma unroll
      for (int h = 0; h < HEADS; h++) {
        sum[h] += __shfl_xor_sync(ALL_LANES, sum[h], distance);
#pragma unroll
        for (int i = 0; i < 8; i++) {
          output[h][i] += __shfl_xor_sync(ALL_LANES, output[h][i], distance);
        }
      }
    }
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
      if (lane == 0) warpSum[warp][h] = sum[h];
    }
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
      if (h < heads) {
        if (lane < team && working) store8(&sums[warp][d], output[h]);
        __syncthreads();
        float all = 0;
        for (int w = 0; w < warps; w++) all += warpSum[w][h];
        int head = kvHead * group + firstHead + h;
        float inverse = blockMost[h] == -INFINITE ? 0 : 1 / all;
        for (int i = threadIdx.x; i < headDim; i += blockDim.x) {
          float x = 0;
          for (int w = 0; w < warps; w++) x += sums[w][i];
          if (splits == 1) {
            out[token * outRow + head * outHead + i] = x * inverse;
          } else {
            partial[((partOfRow + head) * splits + split) * headDim + i] = x;
          }
        }
        if (threadIdx.x == 0) {
          if (splits > 1) {
            float* own = partial + stats + ((partOfRow + head) * splits + split) * 2;
            own[0] = blockMost[h];
            own[1] = all;
          } else if (lse != nullptr) {
            lse[head * lseHead + token] =
                blockMost[h] == -INFINITE ? -INFINITE : blockMost[h] * LN_2 + logf(all);
          }
        }
        __syncthreads();
      }
    }
  }
  if (splits == 1) return;

  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    int* counter = counters + token * kvHeads + kvHead;
    isLast = atomicAdd(counter, 1) == splits - 1;
    if (isLast) *counter = 0;
  }
  __syncthreads();
  if (!isLast) return;
  __threadfence();
  // One warp per query head. Splits beyond 32 are a lane's second, beyond 64 there are none.
  for (int h = warp; h < group; h += warps) {
    int head = kvHead * group + h;
    const float* own = partial + stats + (partOfRow + head) * splits * 2;
    float partMost[2], weight[2];
#pragma unroll
    for (int i = 0; i < 2; i++) {
      int p = lane + 32 * i;
      partMost[i] = p < splits ? __ldcg(own + 2 * p) : -INFINITE;
    }
    float now = reduceWarp(fmaxf(partMost[0], partMost[1]),
                           [](float a, float b) { return fmaxf(a, b); });
    float all = 0;
#pragma unroll
    for (int i = 0; i < 2; i++) {
      int p = lane + 32 * i;
      weight[i] = p < splits && now != -INFINITE ? fastExp2(partMost[i] - now) : 0;
      if (p < splits) all += weight[i] * __ldcg(own + 2 * p + 1);
    }
    all = reduceWarp(all, Sum());
    float inverse = now == -INFINITE ? 0 : 1 / all;
    const float4* parts =
        reinterpret_cast<const float4*>(partial + (partOfRow + head) * splits * headDim);
    for (int i = lane; i < (headDim + 127) / 128 * 32; i += 32) {
      float4 x = make_float4(0, 0, 0, 0);
#pragma unroll 16
      for (int p = 0; p < splits; p++) {
        float w = __shfl_sync(ALL_LANES, p < 32 ? weight[0] : weight[1], p % 32);
        if (i < headDim / 4) {
          float4 y = __ldcg(parts + p * (headDim / 4) + i);
          x = make_float4(x.x + w * y.x, x.y + w * y.y, x.z + w * y.z, x.w + w * y.w);
        }
      }
      if (i < headDim / 4) {
        float* to = out + token * outRow + head * outHead + 4 * i;
        to[0] = x.x * inverse, to[1] = x.y * inverse, to[2] = x.z * inverse, to[3] = x.w * inverse;
      }
    }
    if (lse != nullptr && lane == 0) {
      lse[head * lseHead + token] = now == -INFINITE ? -INFINITE : now * LN_2 + logf(all);
    }
  }
}
#define ATTEND_SPLIT(CACHE, TYPE)                                                              \
  KERNEL __launch_bounds__(256)                                                                \
      attend_split_##CACHE(float* out, float* lse, const float* queries,                       \
                           const Sequence* sequences, int sequenceCount, const Range* ranges,  \
                           float scale, int queryHeads, int kvHeads, int headDim,              \
                           int64 outRow, int64 outHead, int64 queryRow, int64 queryHead,       \
                           int64 lseHead, float* partial, int* counters) {                     \
    attendSplit<TYPE>(out, lse, queries, sequences, sequenceCount, ranges, scale, queryHeads,  \
                      kvHeads, headDim, outRow, outHead, queryRow, queryHead, lseHead,         \
                      partial, counters);                                                      \
  }
ATTEND_SPLIT(f32, float)
ATTEND_SPLIT(bf16, bf16)
ATTEND_SPLIT(f16, f16)

// ---- merging ----

struct Partial {
  const float* out;
  const float* lse;
  int64 outRow, outHead, lseHead;
};

// One block per (token, head). The results may lie where a partial one lay.
KERNEL merge_partial_f32(float* out, float* lse, const Partial* parts, int count, int heads,
                         int headDim, int64 outRow, int64 outHead, int64 lseHead) {
  int64 token = blockIdx.x;
  int64 head = blockIdx.y;
  auto sumOf = [&](int p) { return parts[p].lse[head * parts[p].lseHead + token]; };
  float most = -INFINITE;
  for (int p = 0; p < count; p++) most = fmaxf(most, sumOf(p));
  float sum = 0;
  if (most != -INFINITE) {
    for (int p = 0; p < count; p++) sum += expf(sumOf(p) - most);
  }
  float total = most == -INFINITE ? -INFINITE : most + logf(sum);
  for (int d = threadIdx.x; d < headDim; d += blockDim.x) {
    float x = 0;
    for (int p = 0; p < count; p++) {
      const Partial part = parts[p];
      float part_sum = sumOf(p);
      if (part_sum != -INFINITE) {
        x += expf(part_sum - total) * part.out[token * part.outRow + head * part.outHead + d];
      }
    }
    out[token * outRow + head * outHead + d] = x;
  }
  __syncthreads();
  if (lse != nullptr && threadIdx.x == 0) lse[head * lseHead + token] = total;
}

// ---- attention mass ----

enum HeadReduction { MEAN = 0, MAX = 1, MIN = 2, NONE = 3 };

static float combine(float a, float b, int reduction) {
  return reduction == MAX ? fmaxf(a, b) : reduction == MIN ? fminf(a, b) : a + b;
}

// A block takes 64 keys of one kv head and goes through all rows of the window of all query heads
// of the group, so that nothing has to be added up across blocks. On the matrix units: each warp
// has 16 keys, and the queries pass by in tiles of 64 rows.
template <typename T>
static void attentionMass(float* mass, int64 massRow, const void* queries, int queriesHalf,
                          const float* lse, const Sequence& sequence, const Range* ranges,
                          float scale, int queryHeads, int kvHeads, int headDim, int64 queryRow,
                          int64 queryHead, int64 lseHead, int window, int fromToken, int toToken,
                          int reduction) {
  constexpr int TILE = 64;
  constexpr int HELD = 8;  // steps of 16 dimensions whose keys stay in registers
  constexpr int STEPS = 16;
  extern __shared__ __align__(16) unsigned short tiles[];
  __shared__ float rowSums[TILE];
  __shared__ int rowEnds[TILE];
  int dims = (headDim + 15) / 16 * 16;
  int stride = dims + 8;
  unsigned short* keyTile = tiles;
  unsigned short* queryTile = tiles + TILE * stride;

  int kvHead = blockIdx.y;
  int group = queryHeads / kvHeads;
  const Range range = ranges[kvHead];
  int firstKey = fromToken + blockIdx.x * TILE;
  int warp = threadIdx.x / 32;
  int lane = threadIdx.x % 32;
  for (int i = threadIdx.x; i < TILE * (dims / 8); i += blockDim.x) {
    int key = i / (dims / 8);
    int d = i % (dims / 8) * 8;
    uint4 x = make_uint4(0, 0, 0, 0);
    int token = firstKey + key;
    if (token >= range.from && token < range.to && d < headDim) {
      x = *reinterpret_cast<const uint4*>((const T*)sequence.keys +
                                          (int64)(range.firstSlot + token) * headDim + d);
    }
    *reinterpret_cast<uint4*>(keyTile + key * stride + d) = x;
  }
  __syncthreads();
  const unsigned short* ownKeys =
      keyTile + (warp * 16 + lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8;
  uint32 held[HELD][4];
#pragma unroll
  for (int step = 0; step < HELD; step++) {
    if (16 * step < dims) loadMatrices(held[step], ownKeys + 16 * step);
  }

  // This lane's keys are 8 n + 2 (lane % 4) and the next, n = 0, 1, of the warp's 16.
  float reduced[2][2];
  for (int h = 0; h < group; h++) {
    int head = kvHead * group + h;
    float sums[2][2] = {};
    for (int firstRow = 0; firstRow < window; firstRow += TILE) {
      __syncthreads();
      int first = sequence.rows - window + firstRow;
      for (int i = threadIdx.x; i < TILE * (dims / 8); i += blockDim.x) {
        int row = i / (dims / 8);
        int d = i % (dims / 8) * 8;
        uint4 x = make_uint4(0, 0, 0, 0);
        if (firstRow + row < window && d < headDim) {
          x = loadQuery8<T>(queries, queriesHalf,
                            (sequence.firstRow + first + row) * queryRow + head * queryHead + d);
        }
        *reinterpret_cast<uint4*>(queryTile + row * stride + d) = x;
      }
      if (threadIdx.x < TILE) {
        bool present = firstRow + threadIdx.x < window;
        int row = first + threadIdx.x;
        rowSums[threadIdx.x] =
            present ? lse[head * lseHead + sequence.firstRow + row] * LOG2_E : 0;
        rowEnds[threadIdx.x] = present ? sequence.visibleEnd(range, row) : range.from;
      }
      __syncthreads();
      for (int tile = 0; tile < TILE && firstRow + tile < window; tile += 16) {
        const unsigned short* rows = queryTile + (tile + lane % 16) * stride + lane / 16 * 8;
        float products[2][4] = {};
#pragma unroll
        for (int step = 0; step < STEPS; step++) {
          if (16 * step < dims) {
            uint32 query[4], key[4];
            loadMatrices(query, rows + 16 * step);
            if (step < HELD) {
#pragma unroll
              for (int i = 0; i < 4; i++) key[i] = held[step % HELD][i];
            } else {
              loadMatrices(key, ownKeys + 16 * step);
            }
            multiplyTiles<T>(products[0], query, key[0], key[1]);
            multiplyTiles<T>(products[1], query, key[2], key[3]);
          }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
          int row = tile + lane / 4 + i / 2 * 8;
          float rowSum = rowSums[row];
          int end = rowEnds[row];
#pragma unroll
          for (int n = 0; n < 2; n++) {
            int token = firstKey + warp * 16 + 8 * n + 2 * (lane % 4) + i % 2;
            if (token >= range.from && token < end) {
              sums[n][i % 2] += fastExp2(products[n][i] * (scale * LOG2_E) - rowSum);
            }
          }
        }
      }
    }
#pragma unroll
    for (int n = 0; n < 2; n++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float x = sums[n][i];
#pragma unroll
        for (int distance = 4; distance < 32; distance *= 2) {
          x += __shfl_xor_sync(ALL_LANES, x, distance);
        }
        int key = blockIdx.x * TILE + warp * 16 + 8 * n + 2 * (lane % 4) + i;
        bool write = lane < 4 && key < toToken - fromToken;
        if (reduction == NONE) {
          if (write) mass[head * massRow + key] = x;
          continue;
        }
        reduced[n][i] = h == 0 ? x : combine(reduced[n][i], x, reduction);
        if (write && h == group - 1) {
          mass[kvHead * massRow + key] =
              reduction == MEAN ? reduced[n][i] / group : reduced[n][i];
        }
      }
    }
  }
}
#define ATTENTION_MASS(CACHE, TYPE)                                                           \
  KERNEL __launch_bounds__(128)                                                               \
      attention_mass_##CACHE(float* mass, int64 massRow, const void* queries,                 \
                             int queriesHalf, const float* lse,                               \
                             const __grid_constant__ Sequence sequence, const Range* ranges,  \
                             float scale, int queryHeads, int kvHeads, int headDim,           \
                             int64 queryRow, int64 queryHead, int64 lseHead, int window,      \
                             int fromToken, int toToken, int reduction) {                     \
    attentionMass<TYPE>(mass, massRow, queries, queriesHalf, lse, sequence, ranges, scale,    \
                        queryHeads, kvHeads, headDim, queryRow, queryHead, lseHead, window,   \
                        fromToken, toToken, reduction);                                       \
  }
ATTENTION_MASS(bf16, bf16)
ATTENTION_MASS(f16, f16)

// The same in F32: two threads per key, one for the even rows of a tile and one for the odd.
KERNEL __launch_bounds__(128)
    attention_mass_f32(float* mass, int64 massRow, const float* queries, int, const float* lse,
                       const __grid_constant__ Sequence sequence, const Range* ranges, float scale,
                       int queryHeads, int kvHeads, int headDim, int64 queryRow, int64 queryHead,
                       int64 lseHead, int window, int fromToken, int toToken, int reduction) {
  constexpr int TILE = 64;
  extern __shared__ __align__(16) float floatTiles[];
  __shared__ float ofOdd[TILE];
  int stride = headDim + 4;
  float* keyTile = floatTiles;
  float* queryTile = floatTiles + TILE * stride;
  int kvHead = blockIdx.y;
  int group = queryHeads / kvHeads;
  const Range range = ranges[kvHead];
  int key = threadIdx.x % TILE;
  int odd = threadIdx.x / TILE;
  int token = fromToken + blockIdx.x * TILE + key;
  for (int i = threadIdx.x; i < TILE * headDim; i += blockDim.x) {
    int k = i / headDim;
    int d = i % headDim;
    int at = fromToken + blockIdx.x * TILE + k;
    keyTile[k * stride + d] =
        at >= range.from && at < range.to
            ? ((const float*)sequence.keys)[(int64)(range.firstSlot + at) * headDim + d]
            : 0;
  }
  float reduced = 0;
  for (int h = 0; h < group; h++) {
    int head = kvHead * group + h;
    float sum = 0;
    for (int firstRow = 0; firstRow < window; firstRow += TILE) {
      __syncthreads();
      int first = sequence.rows - window + firstRow;
      int rows = min(TILE, window - firstRow);
      for (int i = threadIdx.x; i < rows * headDim; i += blockDim.x) {
        int row = i / headDim;
        int d = i % headDim;
        queryTile[row * stride + d] =
            queries[(sequence.firstRow + first + row) * queryRow + head * queryHead + d];
      }
      __syncthreads();
      for (int row = odd; row < rows; row += 2) {
        float dot = 0;
        for (int d = 0; d < headDim; d += 4) {
          float4 q = *reinterpret_cast<const float4*>(queryTile + row * stride + d);
          float4 k = *reinterpret_cast<const float4*>(keyTile + key * stride + d);
          dot += q.x * k.x + q.y * k.y + q.z * k.z + q.w * k.w;
        }
        if (token >= range.from && token < sequence.visibleEnd(range, first + row)) {
          sum += expf(dot * scale - lse[head * lseHead + sequence.firstRow + first + row]);
        }
      }
    }
    if (odd) ofOdd[key] = sum;
    __syncthreads();
    if (!odd && token < toToken) {
      sum += ofOdd[key];
      reduced = h == 0 ? sum : combine(reduced, sum, reduction);
      int64 at = token - fromToken;
      if (reduction == NONE) {
        mass[head * massRow + at] = sum;
      } else if (h == group - 1) {
        mass[kvHead * massRow + at] = reduction == MEAN ? reduced / group : reduced;
      }
    }
  }
}
