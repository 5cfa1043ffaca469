// Exact top-k with a result that depends on nothing but the input.
#include "common.cuh"

// Numbers become integers of the same order: NaN lowest, -0 equal to 0.
static uint32 sortable(float x) {
  if (x != x) return 0;
  uint32 bits = __float_as_uint(x + 0.0f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static uint32 dynamicSharedBytes() {
  uint32 bytes;
  asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(bytes));
  return bytes;
}

// One block of 1024 threads per row. A radix select finds the count-th greatest number: 11 + 11 +
// 10 bits from the top, each pass counting the digits of the numbers that agree with the threshold
// so far. Then all that are greater and the earliest of those equal are written in order.
KERNEL __launch_bounds__(1024)
    top_k_f32(int* out, const float* in, int length, int count,
              const __grid_constant__ Walk walk) {
  takeTurn();
  constexpr int BINS = 2048;
  extern __shared__ uint32 cachedKeys[];
  __shared__ uint32 histogram[BINS];
  __shared__ uint32 foundDigit, foundRest;
  if (count == 0) return;
  const float* row = in + offset(walk, blockIdx.x);
  bool cached = dynamicSharedBytes() >= (unsigned long long)length * 4;
  if (cached) {
    for (int i = threadIdx.x; i < length; i += blockDim.x) cachedKeys[i] = sortable(row[i]);
  }
  auto key = [&](int i) { return cached ? cachedKeys[i] : sortable(row[i]); };

  uint32 threshold = 0;  // its digits so far
  uint32 mask = 0;       // which bits those are
  uint32 rest = count;   // how many of the numbers that agree with the threshold are taken
  for (int shift : {21, 10, 0}) {
    uint32 digits = shift == 0 ? 1023 : 2047;
    for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x) histogram[bin] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < length; i += blockDim.x) {
      uint32 k = key(i);
      if ((k & mask) == threshold) atomicAdd(&histogram[k >> shift & digits], 1);
    }
    __syncthreads();
    int upper = BINS - 1 - 2 * threadIdx.x;
    uint32 inUpper = histogram[upper];
    uint32 inLower = histogram[upper - 1];
    uint32 above = exclusiveScanBlock(inUpper + inLower);
    if (above < rest && rest <= above + inUpper) {
      foundDigit = upper;
      foundRest = rest - above;
    } else if (above + inUpper < rest && rest <= above + inUpper + inLower) {
      foundDigit = upper - 1;
      foundRest = rest - above - inUpper;
    }
    __syncthreads();
    threshold |= foundDigit << shift;
    mask |= digits << shift;
    rest = foundRest;
    __syncthreads();
  }

  // Each warp owns a run of positions. It counts, learns what lies before it, and writes.
  int lane = threadIdx.x % 32;
  int run = ((length + 1023) / 1024) * 32;
  int first = (int)(threadIdx.x / 32) * run;
  int end = min(first + run, length);
  uint32 greater = 0;
  uint32 equal = 0;
  for (int i = first + lane; i < end; i += 32) {
    uint32 k = key(i);
    greater += k > threshold;
    equal += k == threshold;
  }
  greater = exclusiveScanBlock(greater);
  equal = exclusiveScanBlock(equal);
  greater = __shfl_sync(ALL_LANES, greater, 0);
  equal = __shfl_sync(ALL_LANES, equal, 0);
  int* result = out + (int64)blockIdx.x * count;
  uint32 before = (1u << lane) - 1;
  for (int start = first; start < end; start += 32) {
    int i = start + lane;
    uint32 k = i < end ? key(i) : 0;
    bool isGreater = i < end && k > threshold;
    bool isEqual = i < end && k == threshold;
    uint32 allGreater = __ballot_sync(ALL_LANES, isGreater);
    uint32 allEqual = __ballot_sync(ALL_LANES, isEqual);
    uint32 greaterBefore = greater + __popc(allGreater & before);
    uint32 equalBefore = equal + __popc(allEqual & before);
    if (isGreater || (isEqual && equalBefore < rest)) {
      result[greaterBefore + min(equalBefore, rest)] = i;
    }
    greater += __popc(allGreater);
    equal += __popc(allEqual);
  }
}
