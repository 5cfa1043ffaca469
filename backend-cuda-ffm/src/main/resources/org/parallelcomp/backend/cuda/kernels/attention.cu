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
  takeTurn();
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

// What the blocks of one split attention know: block (split, kv head, row) takes one part of the
// keys of one row for all query heads of a kv head. Each block leaves its output, not divided yet,
// its greatest product times log2(e), and its sum; the last block of a row merges them.
struct SplitBlock {
  float* out;
  float* lse;
  float* partial;
  int* counters;
  int64 outRow, outHead, lseHead;
  int queryHeads, kvHeads, headDim;

  int group() const { return queryHeads / kvHeads; }
  int head(int ofGroup) const { return blockIdx.y * group() + ofGroup; }
  int64 part(int head, int split) const {
    return ((int64)blockIdx.z * queryHeads + head) * gridDim.x + split;
  }
  float* partOutput(int head, int split) const { return partial + part(head, split) * headDim; }
  float* partStatistics(int head, int split) const {
    return partial + (int64)gridDim.z * queryHeads * gridDim.x * headDim + part(head, split) * 2;
  }
  float* output(int head) const { return out + blockIdx.z * outRow + head * outHead; }

  void storeOutput(int ofGroup, int d, float x, float most, float sum) const {
    if (gridDim.x == 1) {
      output(head(ofGroup))[d] = most == -INFINITE ? 0 : x / sum;
    } else {
      partOutput(head(ofGroup), blockIdx.x)[d] = x;
    }
  }
  void storeStatistics(int ofGroup, float most, float sum) const {
    if (gridDim.x == 1) {
      storeLogSumExp(head(ofGroup), most, sum);
    } else {
      float* own = partStatistics(head(ofGroup), blockIdx.x);
      own[0] = most;
      own[1] = sum;
    }
  }
  void storeLogSumExp(int head, float most, float sum) const {
    if (lse != nullptr) {
      lse[head * lseHead + blockIdx.z] =
          most == -INFINITE ? -INFINITE : most * LN_2 + logf(sum);
    }
  }

  // Merges the parts if this is the last block of its row; one warp per query head. Parts beyond 32
  // are a lane's second, beyond 64 there are none.
  void merge() const {
    __shared__ int isLast;
    int splits = gridDim.x;
    if (splits == 1) return;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
      int* counter = counters + blockIdx.z * kvHeads + blockIdx.y;
      isLast = atomicAdd(counter, 1) == splits - 1;
      if (isLast) *counter = 0;
    }
    __syncthreads();
    if (!isLast) return;
    __threadfence();
    int lane = threadIdx.x % 32;
    auto greater = [](float a, float b) { return fmaxf(a, b); };
    constexpr int AT_ONCE = 32;
    int quads = headDim / 4;
    for (int h = threadIdx.x / 32; h < group(); h += blockDim.x / 32) {
      const float4* parts = reinterpret_cast<const float4*>(partOutput(head(h), 0));
      float most[2], sums[2], weight[2];
#pragma unroll
      for (int i = 0; i < 2; i++) {
        int p = lane + 32 * i;
        most[i] = p < splits ? __ldcg(partStatistics(head(h), p)) : -INFINITE;
        sums[i] = p < splits ? __ldcg(partStatistics(head(h), p) + 1) : 0;
      }
      // The outputs are asked for before the weights are known.
      float4 y[AT_ONCE];
      auto load = [&](int first, int quad) {
#pragma unroll
        for (int p = 0; p < AT_ONCE; p++) {
          y[p] = make_float4(0, 0, 0, 0);
          if (first + p < splits && quad < quads) y[p] = __ldcg(parts + (first + p) * quads + quad);
        }
      };
      load(0, lane);
      float all = reduceWarp(fmaxf(most[0], most[1]), greater);
      float sum = 0;
#pragma unroll
      for (int i = 0; i < 2; i++) {
        weight[i] = all == -INFINITE ? 0 : fastExp2(most[i] - all);
        sum += weight[i] * sums[i];
      }
      sum = reduceWarp(sum, Sum());
      float inverse = all == -INFINITE ? 0 : 1 / sum;
      for (int quad = lane; quad < (quads + 31) / 32 * 32; quad += 32) {
        float4 x = make_float4(0, 0, 0, 0);
        for (int first = 0; first < splits; first += AT_ONCE) {
          if (first > 0 || quad != lane) load(first, quad);
#pragma unroll
          for (int p = 0; p < AT_ONCE; p++) {
            float w = __shfl_sync(ALL_LANES, first == 0 ? weight[0] : weight[1], p);
            x = make_float4(x.x + w * y[p].x, x.y + w * y[p].y, x.z + w * y[p].z,
                            x.w + w * y[p].w);
          }
        }
        if (quad < quads) {
          float* to = output(head(h)) + 4 * quad;
          to[0] = x.x * inverse, to[1] = x.y * inverse;
          to[2] = x.z * inverse, to[3] = x.w * inverse;
        }
      }
      if (lane == 0) storeLogSumExp(head(h), all, sum);
    }
  }
};

// The keys of one block, counted from the first visible one.
template <typename T>
struct SplitKeys {
  const T* keys;
  const T* values;
  int from, to;

  SplitKeys(const Sequence* sequences, int sequenceCount, const Range* ranges, int kvHeads,
            int headDim) {
    int token = blockIdx.z;
    int s = 0;
    while (s < sequenceCount - 1 && (token < sequences[s].firstRow ||
                                     token >= sequences[s].firstRow + sequences[s].rows)) {
      s++;
    }
    const Sequence sequence = sequences[s];
    const Range range = ranges[s * kvHeads + blockIdx.y];
    int64 first = (int64)(range.firstSlot + range.from) * headDim;
    keys = (const T*)sequence.keys + first;
    values = (const T*)sequence.values + first;
    int visible = max(0, sequence.visibleEnd(range, token - sequence.firstRow) - range.from);
    int perSplit = (visible + (int)gridDim.x - 1) / (int)gridDim.x;
    from = min((int)blockIdx.x * perSplit, visible);
    to = min(from + perSplit, visible);
  }
};

// For F32 caches and wide heads. A team of lanes, eight dimensions each, takes one key at a time
// for up to HEADS query heads, so that keys and values are read once. Teams keep statistics of
// their own, which meet at the end.
template <typename T>
static void attendSplitByTeams(const SplitBlock& block, const SplitKeys<T>& part,
                               const float* queries, int64 queryHead, float factor) {
  constexpr int HEADS = 4;
  constexpr int KEYS = 4;  // in flight for each team
  constexpr int WARPS = 4;
  __shared__ __align__(16) float sums[WARPS][256];
  __shared__ float warpMost[WARPS][HEADS];
  __shared__ float warpSum[WARPS][HEADS];
  int headDim = block.headDim;
  int group = block.group();
  int from = part.from;
  int to = part.to;
  int team = 1;
  while (team * 8 < headDim) team *= 2;
  int lane = threadIdx.x % 32;
  int warp = threadIdx.x / 32;
  int teams = blockDim.x / team;
  int ownTeam = threadIdx.x / team;
  int d = threadIdx.x % team * 8;
  bool working = d < headDim;

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
        load8Anywhere(queries + block.head(firstHead + h) * queryHead + d, query[h]);
      }
    }
    for (int first = from; first < to; first += KEYS * teams) {
      Octet<T> k[KEYS], v[KEYS];
#pragma unroll
      for (int u = 0; u < KEYS; u++) {
        int key = first + u * teams + ownTeam;
        if (working && key < to) {
          k[u].load(part.keys + (int64)key * headDim + d);
          v[u].load(part.values + (int64)key * headDim + d);
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
#pragma unroll
      for (int w = 1; w < WARPS; w++) now = fmaxf(now, warpMost[w][h]);
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
        float all = warpSum[0][h] + warpSum[1][h] + warpSum[2][h] + warpSum[3][h];
        for (int i = threadIdx.x; i < headDim; i += blockDim.x) {
          float x = sums[0][i] + sums[1][i] + sums[2][i] + sums[3][i];
          block.storeOutput(firstHead + h, i, x, blockMost[h], all);
        }
        if (threadIdx.x == 0) block.storeStatistics(firstHead + h, blockMost[h], all);
        __syncthreads();
      }
    }
  }
}

// Splits two numbers into halves of 16 bits each, which together lose next to nothing.
template <typename T>
void splitPair(float x, float y, uint32& high, uint32& low) {
  high = packPair<T>(x, y);
  float highX, highY;
  unpackPair<T>(high, highX, highY);
  low = packPair<T>(x - highX, y - highY);
}

// For 16-bit caches and heads of up to N dimensions: on the matrix units, which take far fewer
// instructions than the memory gives time for. Of the 16 rows of a tile the upper eight are the
// higher halves of eight query heads and the lower eight their lower halves, so queries and weights
// count with nearly all their bits. Each warp takes 16 keys at a time straight from the cache. The
// order of the dimensions in a product does not matter, so they are numbered such that every lane
// loads 16 bytes of a row.
template <typename T, int N>
static void attendSplitByTiles(const SplitBlock& block, const SplitKeys<T>& part,
                               const float* queries, int64 queryHead, float factor) {
  constexpr int HEADS = 8;
  constexpr int KEYS = 16;
  constexpr int WARPS = 4;
  __shared__ float sums[WARPS][HEADS][N];
  __shared__ float warpMost[WARPS][HEADS];
  __shared__ float warpSum[WARPS][HEADS];
  int headDim = block.headDim;
  int group = block.group();
  int lane = threadIdx.x % 32;
  int warp = threadIdx.x / 32;
  int row = lane / 4;
  int column = lane % 4;
  for (int firstHead = 0; firstHead < group; firstHead += HEADS) {
    int heads = min(HEADS, group - firstHead);
    // Step 2 i + j takes the dimensions 32 i + 8 column + 4 j and the three behind it.
    uint32 query[N / 16][4];
#pragma unroll
    for (int i = 0; i < N / 32; i++) {
      float x[8] = {};
      int d = 32 * i + 8 * column;
      if (row < heads && d < headDim) {
        load8Anywhere(queries + block.head(firstHead + row) * queryHead + d, x);
      }
#pragma unroll
      for (int j = 0; j < 2; j++) {
        uint32(&step)[4] = query[2 * i + j];
        splitPair<T>(x[4 * j], x[4 * j + 1], step[0], step[1]);
        splitPair<T>(x[4 * j + 2], x[4 * j + 3], step[2], step[3]);
      }
    }
    float output[N / 8][4] = {};
    float most = -INFINITE;
    float sum = 0;
    uint4 k[2][N / 32];
    auto loadKeys = [&](int first) {
#pragma unroll
      for (int n = 0; n < 2; n++) {
        int key = first + 8 * n + row;
#pragma unroll
        for (int i = 0; i < N / 32; i++) {
          int d = 32 * i + 8 * column;
          k[n][i] = make_uint4(0, 0, 0, 0);
          if (key < part.to && d < headDim) {
            k[n][i] = *reinterpret_cast<const uint4*>(part.keys + (int64)key * headDim + d);
          }
        }
      }
    };
    // Of the keys 2 column, 2 column + 1 and those eight further: 64 b + 8 row and seven more.
    uint4 v[N / 64][4];
    auto loadValues = [&](int first) {
#pragma unroll
      for (int b = 0; b < N / 64; b++) {
        int d = 64 * b + 8 * row;
#pragma unroll
        for (int i = 0; i < 4; i++) {
          int key = first + 2 * column + i % 2 + i / 2 * 8;
          v[b][i] = make_uint4(0, 0, 0, 0);
          if (key < part.to && d < headDim) {
            v[b][i] = *reinterpret_cast<const uint4*>(part.values + (int64)key * headDim + d);
          }
        }
      }
    };
    int start = part.from + KEYS * warp;
    loadKeys(start);
    loadValues(start);
    // The next loads start as soon as the registers are free.
    for (int first = start; first < part.to; first += KEYS * WARPS) {
      float products[2][4] = {};
#pragma unroll
      for (int n = 0; n < 2; n++) {
#pragma unroll
        for (int i = 0; i < N / 32; i++) {
          multiplyTiles<T>(products[n], query[2 * i], k[n][i].x, k[n][i].y);
          multiplyTiles<T>(products[n], query[2 * i + 1], k[n][i].z, k[n][i].w);
        }
      }
      loadKeys(first + KEYS * WARPS);
      float weights[4];  // of the keys whose values this lane has
      float now = most;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        int key = first + 2 * column + i % 2 + i / 2 * 8;
        float product = (products[i / 2][i % 2] + products[i / 2][i % 2 + 2]) * factor;
        weights[i] = key < part.to ? product : -INFINITE;
        now = fmaxf(now, weights[i]);
      }
      now = fmaxf(now, __shfl_xor_sync(ALL_LANES, now, 1));
      now = fmaxf(now, __shfl_xor_sync(ALL_LANES, now, 2));
      float shrink = fastExp2(most - now);  // The first key of a step is always there.
      most = now;
      sum *= shrink;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        weights[i] = fastExp2(weights[i] - now);
        sum += weights[i];
      }
#pragma unroll
      for (int n = 0; n < N / 8; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) output[n][i] *= shrink;
      }
      uint32 weight[4];
      splitPair<T>(weights[0], weights[1], weight[0], weight[1]);
      splitPair<T>(weights[2], weights[3], weight[2], weight[3]);
#pragma unroll
      for (int b = 0; b < N / 64; b++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
          auto word = [&](int i) {
            return j == 0 ? v[b][i].x : j == 1 ? v[b][i].y : j == 2 ? v[b][i].z : v[b][i].w;
          };
          multiplyTiles<T>(output[8 * b + 2 * j], weight, __byte_perm(word(0), word(1), 0x5410),
                           __byte_perm(word(2), word(3), 0x5410));
          multiplyTiles<T>(output[8 * b + 2 * j + 1], weight,
                           __byte_perm(word(0), word(1), 0x7632),
                           __byte_perm(word(2), word(3), 0x7632));
        }
      }
      loadValues(first + KEYS * WARPS);
    }

    // The warps meet.
    __syncthreads();
    if (column == 0) warpMost[warp][row] = most;
    __syncthreads();
    float blockMost = warpMost[0][row];
#pragma unroll
    for (int w = 1; w < WARPS; w++) blockMost = fmaxf(blockMost, warpMost[w][row]);
    float shrink = blockMost == -INFINITE ? 0 : fastExp2(most - blockMost);
    sum *= shrink;
    sum += __shfl_xor_sync(ALL_LANES, sum, 1);
    sum += __shfl_xor_sync(ALL_LANES, sum, 2);
    if (column == 0) warpSum[warp][row] = sum;
    // Column c of tile 8 b + j is dimension 64 b + 8 c + j.
#pragma unroll
    for (int n = 0; n < N / 8; n++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        int d = n / 8 * 64 + 8 * (2 * column + i) + n % 8;
        sums[warp][row][d] = (output[n][i] + output[n][i + 2]) * shrink;
      }
    }
    __syncthreads();
    for (int h = 0; h < heads; h++) {
      float headMost = fmaxf(fmaxf(warpMost[0][h], warpMost[1][h]),
                             fmaxf(warpMost[2][h], warpMost[3][h]));
      float all = warpSum[0][h] + warpSum[1][h] + warpSum[2][h] + warpSum[3][h];
      for (int d = threadIdx.x; d < headDim; d += blockDim.x) {
        float x = sums[0][h][d] + sums[1][h][d] + sums[2][h][d] + sums[3][h][d];
        block.storeOutput(firstHead + h, d, x, headMost, all);
      }
      if (threadIdx.x == 0) block.storeStatistics(firstHead + h, headMost, all);
    }
    __syncthreads();
  }
}

template <typename T>
static void attendSplit(float* out, float* lse, const float* queries, const Sequence* sequences,
                        int sequenceCount, const Range* ranges, float scale, int queryHeads,
                        int kvHeads, int headDim, int64 outRow, int64 outHead, int64 queryRow,
                        int64 queryHead, int64 lseHead, float* partial, int* counters) {
  takeTurn();
  SplitBlock block{out,     lse,     partial,    counters, outRow,
                   outHead, lseHead, queryHeads, kvHeads,  headDim};
  SplitKeys<T> part(sequences, sequenceCount, ranges, kvHeads, headDim);
  const float* row = queries + blockIdx.z * queryRow;
  float factor = scale * LOG2_E;
  if constexpr (sizeof(T) == 2) {
    if (headDim <= 64) {
      attendSplitByTiles<T, 64>(block, part, row, queryHead, factor);
    } else if (headDim <= 128) {
      attendSplitByTiles<T, 128>(block, part, row, queryHead, factor);
    } else {
      attendSplitByTeams(block, part, row, queryHead, factor);
    }
  } else {
    attendSplitByTeams(block, part, row, queryHead, factor);
  }
  block.merge();
}
#define ATTEND_SPLIT(CACHE, TYPE)                                                              \
  KERNEL __launch_bounds__(128)                                                                \
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
  takeTurn();
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

// A block takes some keys of one kv head and goes through all rows of the window of all query heads
// of the group, so that nothing has to be added up across blocks. On the matrix units: each warp
// has 16 TILES keys, in registers if HELD, and the queries pass by in tiles of 64 rows.
template <typename T, int TILES, bool HELD>
static void attentionMass(float* mass, int64 massRow, const void* queries, int queriesHalf,
                          const float* lse, const Sequence& sequence, const Range* ranges,
                          float scale, int queryHeads, int kvHeads, int headDim, int64 queryRow,
                          int64 queryHead, int64 lseHead, int window, int fromToken, int toToken,
                          int reduction) {
  takeTurn();
  constexpr int ROWS = 64;
  constexpr int KEYS = 64 * TILES;
  constexpr int STEPS = HELD ? 8 : 16;  // of 16 dimensions
  extern __shared__ __align__(16) unsigned short tiles[];
  __shared__ float rowSums[ROWS];
  __shared__ int rowEnds[ROWS];
  int firstKey = fromToken + blockIdx.x * KEYS;
  if (firstKey >= toToken) return;
  int dims = (headDim + 15) / 16 * 16;
  int groups = dims / 8;
  int stride = dims + 8;
  unsigned short* keyTile = tiles;
  unsigned short* queryTile = HELD ? tiles : tiles + KEYS * stride;

  int kvHead = blockIdx.y;
  int group = queryHeads / kvHeads;
  const Range range = ranges[kvHead];
  int warp = threadIdx.x / 32;
  int lane = threadIdx.x % 32;
  // Threads copy eight dimensions of every rowsAtOnce-th row.
  int rowsAtOnce = blockDim.x / groups;
  int ownRow = threadIdx.x / groups;
  int d = threadIdx.x % groups * 8;
  if (ownRow >= rowsAtOnce) ownRow = 1 << 30;
#pragma unroll 8
  for (int key = ownRow; key < KEYS; key += rowsAtOnce) {
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
      keyTile + (warp * 16 * TILES + lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8;
  uint32 held[HELD ? STEPS : 1][TILES][4];
  if (HELD) {
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
#pragma unroll
      for (int k = 0; k < TILES; k++) {
        if (16 * step < dims) {
          loadMatrices(held[HELD ? step : 0][k], ownKeys + 16 * k * stride + 16 * step);
        }
      }
    }
  }

  // This lane's keys are 8 n + 2 (lane % 4) and the next of the warp's.
  float reduced[2 * TILES][2];
  float factor = scale * LOG2_E;
  // Only at the ends of what is visible are keys looked at one by one.
  bool inside = firstKey >= range.from &&
                firstKey + KEYS <= sequence.visibleEnd(range, sequence.rows - window) &&
                window % 16 == 0;
  for (int h = 0; h < group; h++) {
    int head = kvHead * group + h;
    float sums[2 * TILES][2] = {};
    for (int firstRow = 0; firstRow < window; firstRow += ROWS) {
      int rows = min(ROWS, window - firstRow);
      int first = sequence.rows - window + firstRow;
      __syncthreads();
#pragma unroll 8
      for (int row = ownRow; row < (rows + 15) / 16 * 16; row += rowsAtOnce) {
        uint4 x = make_uint4(0, 0, 0, 0);
        if (row < rows && d < headDim) {
          x = loadQuery8<T>(queries, queriesHalf,
                            (sequence.firstRow + first + row) * queryRow + head * queryHead + d);
        }
        *reinterpret_cast<uint4*>(queryTile + row * stride + d) = x;
      }
      if (threadIdx.x < ROWS) {
        bool present = threadIdx.x < rows;
        int row = first + threadIdx.x;
        rowSums[threadIdx.x] =
            present ? lse[head * lseHead + sequence.firstRow + row] * LOG2_E : 0;
        rowEnds[threadIdx.x] = present ? sequence.visibleEnd(range, row) : range.from;
      }
      __syncthreads();
      for (int tile = 0; tile < rows; tile += 16) {
        const unsigned short* own = queryTile + (tile + lane % 16) * stride + lane / 16 * 8;
        float products[2 * TILES][4] = {};
#pragma unroll
        for (int step = 0; step < STEPS; step++) {
          if (16 * step < dims) {
            uint32 query[4];
            loadMatrices(query, own + 16 * step);
#pragma unroll
            for (int k = 0; k < TILES; k++) {
              uint32 loaded[4];
              if (!HELD) loadMatrices(loaded, ownKeys + 16 * k * stride + 16 * step);
              const uint32(&key)[4] = HELD ? held[HELD ? step : 0][k] : loaded;
              multiplyTiles<T>(products[2 * k], query, key[0], key[1]);
              multiplyTiles<T>(products[2 * k + 1], query, key[2], key[3]);
            }
          }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
          int row = tile + lane / 4 + i / 2 * 8;
          float rowSum = rowSums[row];
          int end = rowEnds[row];
#pragma unroll
          for (int n = 0; n < 2 * TILES; n++) {
            int token = firstKey + warp * 16 * TILES + 8 * n + 2 * (lane % 4) + i % 2;
            float p = fastExp2(products[n][i] * factor - rowSum);
            sums[n][i % 2] += inside || (token >= range.from && token < end) ? p : 0;
          }
        }
      }
    }
#pragma unroll
    for (int n = 0; n < 2 * TILES; n++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float x = sums[n][i];
#pragma unroll
        for (int distance = 4; distance < 32; distance *= 2) {
          x += __shfl_xor_sync(ALL_LANES, x, distance);
        }
        int key = firstKey - fromToken + warp * 16 * TILES + 8 * n + 2 * (lane % 4) + i;
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
    if (headDim <= 128) {                                                                     \
      attentionMass<TYPE, 2, true>(mass, massRow, queries, queriesHalf, lse, sequence,        \
                                   ranges, scale, queryHeads, kvHeads, headDim, queryRow,     \
                                   queryHead, lseHead, window, fromToken, toToken,            \
                                   reduction);                                                \
    } else {                                                                                  \
      attentionMass<TYPE, 1, false>(mass, massRow, queries, queriesHalf, lse, sequence,       \
                                    ranges, scale, queryHeads, kvHeads, headDim, queryRow,    \
                                    queryHead, lseHead, window, fromToken, toToken,           \
                                    reduction);                                               \
    }                                                                                         \
  }
ATTENTION_MASS(bf16, bf16)
ATTENTION_MASS(f16, f16)

// The same in F32: two threads per key, one for the even rows of a tile and one for the odd.
KERNEL __launch_bounds__(128)
    attention_mass_f32(float* mass, int64 massRow, const float* queries, int, const float* lse,
                       const __grid_constant__ Sequence sequence, const Range* ranges, float scale,
                       int queryHeads, int kvHeads, int headDim, int64 queryRow, int64 queryHead,
                       int64 lseHead, int window, int fromToken, int toToken, int reduction) {
  takeTurn();
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
