// Operations on the ragged key-value cache: slots [slots, headDim], a run of slots per kv head.
#include "common.cuh"

// Where keys and values come from, and where they go.
template <typename Cache>
struct Append {
  Cache* keysOut;
  Cache* valuesOut;
  int* positionsOut;
  const float* keys;
  const float* values;
  const int* positions;
  int headDim;
  int64 keyRow, keyHead, valueRow, valueHead;

  // Writes eight numbers of a token of a head, and its position with the first of them.
  inline void write(int head, int token, int64 slot, int first) const {
    move(keysOut + slot * headDim + first, keys + token * keyRow + head * keyHead + first, first);
    move(valuesOut + slot * headDim + first, values + token * valueRow + head * valueHead + first,
         first);
    if (first == 0) positionsOut[slot] = positions[token];
  }

private:
  inline void move(Cache* out, const float* in, int first) const {
    if (headDim % 8 != 0) {
      for (int k = 0; k < 8 && first + k < headDim; k++) out[k] = fromFloat<Cache>(in[k]);
      return;
    }
    float x[8];
    load8Anywhere(in, x);
    store8(out, x);
  }
};

// Writes tokens from the given slot of each head on; eight numbers per thread, blockIdx.y is the
// head.
template <typename Cache>
static void append(const Append<Cache>& work, const int* firstSlots, int tokens) {
  takeTurn();
  int groups = (work.headDim + 7) / 8;
  int64 i = globalThread();
  int token = (int)(i / groups);
  if (token >= tokens) return;
  int head = blockIdx.y;
  work.write(head, token, firstSlots[head] + token, (int)(i % groups) * 8);
}

// Writes few tokens behind those of each head and counts them. One block per head.
template <typename Cache>
static void appendNext(const Append<Cache>& work, Range* heads, int tokens) {
  takeTurn();
  int head = blockIdx.y;
  int groups = (work.headDim + 7) / 8;
  int64 slot = heads[head].firstSlot + heads[head].to;
  __syncthreads();
  for (int i = threadIdx.x; i < tokens * groups; i += blockDim.x) {
    work.write(head, i / groups, slot + i / groups, i % groups * 8);
  }
  if (threadIdx.x == 0) heads[head].to += tokens;
}
#define APPEND(CACHE, CACHE_TYPE)                                                             \
  KERNEL append_##CACHE(CACHE_TYPE* keysOut, CACHE_TYPE* valuesOut, int* positionsOut,        \
                        const float* keys, const float* values, const int* positions,         \
                        int headDim, int64 keyRow, int64 keyHead, int64 valueRow,             \
                        int64 valueHead, const int* firstSlots, int tokens) {                 \
    append(Append<CACHE_TYPE>{keysOut, valuesOut, positionsOut, keys, values, positions,      \
                              headDim, keyRow, keyHead, valueRow, valueHead},                 \
           firstSlots, tokens);                                                               \
  }                                                                                           \
  KERNEL append_next_##CACHE(CACHE_TYPE* keysOut, CACHE_TYPE* valuesOut, int* positionsOut,   \
                             const float* keys, const float* values, const int* positions,    \
                             int headDim, int64 keyRow, int64 keyHead, int64 valueRow,        \
                             int64 valueHead, Range* heads, int tokens) {                     \
    appendNext(Append<CACHE_TYPE>{keysOut, valuesOut, positionsOut, keys, values, positions,  \
                                  headDim, keyRow, keyHead, valueRow, valueHead},             \
               heads, tokens);                                                                \
  }
APPEND(f32, float)
APPEND(bf16, bf16)
APPEND(f16, f16)

// What moves within a head: `count` tokens to consecutive slots from `target` on, from the slots
// `source + indices[index + i]`, or `source + i` where there are no indices.
struct Move {
  int target, source, count, index;
};

template <typename Unit>
static void moveTokens(void* keysOut, void* valuesOut, int* positionsOut, const void* keysIn,
                       const void* valuesIn, const int* positionsIn, const Move* moves,
                       const int* indices, int rowBytes) {
  Move move = moves[blockIdx.y];
  int units = rowBytes / sizeof(Unit);
  int64 all = (int64)move.count * units;
  for (int64 i = globalThread(); i < all; i += (int64)gridDim.x * blockDim.x) {
    int token = (int)(i / units);
    int unit = (int)(i % units);
    int64 from = move.source + (indices ? indices[move.index + token] : token);
    int64 to = move.target + token;
    ((Unit*)keysOut)[to * units + unit] = ((const Unit*)keysIn)[from * units + unit];
    ((Unit*)valuesOut)[to * units + unit] = ((const Unit*)valuesIn)[from * units + unit];
    if (unit == 0) positionsOut[to] = positionsIn[from];
  }
}
// Compaction and concatenation; blockIdx.y is the head.
KERNEL move_tokens(void* keysOut, void* valuesOut, int* positionsOut, const void* keysIn,
                   const void* valuesIn, const int* positionsIn, const Move* moves,
                   const int* indices, int rowBytes) {
  takeTurn();
  if (rowBytes % 16 == 0) {
    moveTokens<uint4>(keysOut, valuesOut, positionsOut, keysIn, valuesIn, positionsIn, moves,
                      indices, rowBytes);
  } else {
    moveTokens<unsigned short>(keysOut, valuesOut, positionsOut, keysIn, valuesIn, positionsIn,
                               moves, indices, rowBytes);
  }
}

// Turns each key back from its position and on to firstPosition + its index in the head. One warp
// per key. A scaled table also stretches, so the way back divides by the square.
template <typename Cache>
static void rerotate(Cache* keys, int* positions, const Move* heads, int firstPosition,
                     const float* cosines, const float* sines, int headDim, int pairs,
                     int style) {
  takeTurn();
  Move head = heads[blockIdx.y];
  int token = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (token >= head.count) return;
  int64 slot = head.target + token;
  int64 before = (int64)positions[slot] * pairs;
  int64 after = (int64)(firstPosition + token) * pairs;
  Cache* key = keys + slot * headDim;
  for (int pair = threadIdx.x % 32; pair < pairs; pair += 32) {
    int left = style == 0 ? 2 * pair : pair;
    int right = style == 0 ? 2 * pair + 1 : pair + pairs;
    float a = toFloat(key[left]);
    float b = toFloat(key[right]);
    float c = cosines[before + pair];
    float s = sines[before + pair];
    float square = c * c + s * s;
    float u = (a * c + b * s) / square;
    float v = (b * c - a * s) / square;
    c = cosines[after + pair];
    s = sines[after + pair];
    key[left] = fromFloat<Cache>(u * c - v * s);
    key[right] = fromFloat<Cache>(u * s + v * c);
  }
  __syncwarp();
  if (threadIdx.x % 32 == 0) positions[slot] = firstPosition + token;
}
#define REROTATE(CACHE, CACHE_TYPE)                                                            \
  KERNEL rerotate_##CACHE(CACHE_TYPE* keys, int* positions, const Move* heads,                 \
                          int firstPosition, const float* cosines, const float* sines,         \
                          int headDim, int pairs, int style) {                                 \
    rerotate(keys, positions, heads, firstPosition, cosines, sines, headDim, pairs, style);    \
  }
REROTATE(f32, float)
REROTATE(bf16, bf16)
REROTATE(f16, f16)
