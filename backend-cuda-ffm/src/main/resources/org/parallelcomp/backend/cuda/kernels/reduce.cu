// Reductions, softmax, pools and selections along rows.
#include "common.cuh"

enum Reduction { SUM = 0, MEAN = 1, MAX = 2, MIN = 3, L2_NORM = 4 };

static float finish(double sum, int length, int op) {
  if (op == MEAN) sum /= length;
  if (op == L2_NORM) sum = sqrt(sum);
  return (float)sum;
}

// One block per result; the reduced axis is gapless.
KERNEL reduce_rows_f32(float* out, const float* in, int length, int op,
                       const __grid_constant__ Walk walk) {
  takeTurn();
  const float* row = in + offset(walk, blockIdx.x);
  float result;
  if (op == MAX || op == MIN) {
    bool greatest = op == MAX;
    float best = greatest ? -INFINITE : INFINITE;
    for (int i = threadIdx.x; i < length; i += blockDim.x) {
      best = greatest ? Greatest()(best, row[i]) : Least()(best, row[i]);
    }
    result = greatest ? reduceBlock(best, -INFINITE, Greatest())
                      : reduceBlock(best, INFINITE, Least());
  } else {
    double sum = 0;
    for (int i = threadIdx.x; i < length; i += blockDim.x) {
      double x = row[i];
      sum += op == L2_NORM ? x * x : x;
    }
    result = finish(reduceBlock(sum, 0.0, Sum()), length, op);
  }
  if (threadIdx.x == 0) out[blockIdx.x] = result;
}

// One thread per result; any axis.
KERNEL reduce_axis_f32(float* out, const float* in, int64 n, int length, int64 axisStride, int op,
                       const __grid_constant__ Walk walk) {
  takeTurn();
  int64 i = globalThread();
  if (i >= n) return;
  const float* line = in + offset(walk, i);
  if (op == MAX || op == MIN) {
    float best = op == MAX ? -INFINITE : INFINITE;
    for (int k = 0; k < length; k++) {
      float x = line[k * axisStride];
      best = op == MAX ? Greatest()(best, x) : Least()(best, x);
    }
    out[i] = best;
  } else {
    double sum = 0;
    for (int k = 0; k < length; k++) {
      double x = line[k * axisStride];
      sum += op == L2_NORM ? x * x : x;
    }
    out[i] = finish(sum, length, op);
  }
}

// One block per row.
KERNEL softmax_f32(float* out, const float* in, int length, const __grid_constant__ Walk walk) {
  takeTurn();
  const float* row = in + offset(walk, blockIdx.x);
  float* result = out + (int64)blockIdx.x * length;
  float most = -INFINITE;
  for (int i = threadIdx.x; i < length; i += blockDim.x) most = Greatest()(most, row[i]);
  most = reduceBlock(most, -INFINITE, Greatest());
  double sum = 0;
  for (int i = threadIdx.x; i < length; i += blockDim.x) {
    float e = expf(row[i] - most);
    result[i] = e;
    sum += e;
  }
  sum = reduceBlock(sum, 0.0, Sum());
  for (int i = threadIdx.x; i < length; i += blockDim.x) result[i] = (float)(result[i] / sum);
}

// A centred window along the innermost axis. What lies outside counts as zero for the mean, whose
// divisor is always `kernel`, and not at all for the maximum.
KERNEL pool_f32(float* out, const float* in, int64 n, int length, int kernel, int op,
                const __grid_constant__ Walk walk) {
  takeTurn();
  int64 i = globalThread();
  if (i >= n) return;
  int column = (int)(i % length);
  const float* line = in + offset(walk, i) - column;
  int from = max(0, column - kernel / 2);
  int to = min(length, column + kernel / 2 + 1);
  if (op == 0) {
    double sum = 0;
    for (int k = from; k < to; k++) sum += line[k];
    out[i] = (float)(sum / kernel);
  } else {
    float best = -INFINITE;
    for (int k = from; k < to; k++) best = Greatest()(best, line[k]);
    out[i] = best;
  }
}

// One block per row: the position of the greatest; of equals the earlier, NaN below everything.
KERNEL arg_max_f32(int* out, const float* in, int length, const __grid_constant__ Walk walk) {
  takeTurn();
  const float* row = in + offset(walk, blockIdx.x);
  struct Best {
    float value;
    int at;  // -1 while only NaN was seen
  };
  auto better = [](Best a, Best b) {
    if (a.at < 0) return b;
    if (b.at < 0) return a;
    return a.value > b.value || (a.value == b.value && a.at < b.at) ? a : b;
  };
  Best best{0, -1};
  constexpr int AT_ONCE = 16;
  for (int first = threadIdx.x; first < length; first += AT_ONCE * blockDim.x) {
    float x[AT_ONCE];
#pragma unroll
    for (int k = 0; k < AT_ONCE; k++) {
      int i = first + k * blockDim.x;
      x[k] = i < length ? row[i] : NOT_A_NUMBER;
    }
#pragma unroll
    for (int k = 0; k < AT_ONCE; k++) {
      if (x[k] == x[k]) best = better(best, Best{x[k], first + k * (int)blockDim.x});
    }
  }
  auto reduce = [&](Best b) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      Best other{__shfl_xor_sync(ALL_LANES, b.value, distance),
                 __shfl_xor_sync(ALL_LANES, b.at, distance)};
      b = better(b, other);
    }
    return b;
  };
  __shared__ Best ofWarp[32];
  best = reduce(best);
  if (threadIdx.x % 32 == 0) ofWarp[threadIdx.x / 32] = best;
  __syncthreads();
  if (threadIdx.x < 32) {
    best = reduce(threadIdx.x < blockDim.x / 32 ? ofWarp[threadIdx.x] : Best{0, -1});
    if (threadIdx.x == 0) out[blockIdx.x] = max(best.at, 0);
  }
}

// One block per row: logits[target] - log(sum(exp(logits))).
KERNEL token_log_likelihood_f32(float* out, const float* logits, const int* targets, int vocab,
                                int64 logitsRow) {
  takeTurn();
  const float* row = logits + blockIdx.x * logitsRow;
  float most = -INFINITE;
  for (int i = threadIdx.x; i < vocab; i += blockDim.x) most = Greatest()(most, row[i]);
  most = reduceBlock(most, -INFINITE, Greatest());
  double sum = 0;
  for (int i = threadIdx.x; i < vocab; i += blockDim.x) sum += expf(row[i] - most);
  sum = reduceBlock(sum, 0.0, Sum());
  if (threadIdx.x == 0) {
    out[blockIdx.x] = (float)((double)row[targets[blockIdx.x]] - most - log(sum));
  }
}

// One block per head: how many positions of a mask are not 0.
KERNEL count_selected_f32(int* counts, const float* mask, int tokens, int64 maskRow) {
  takeTurn();
  const float* row = mask + blockIdx.x * maskRow;
  int count = 0;
  for (int i = threadIdx.x; i < tokens; i += blockDim.x) count += row[i] != 0;
  count = reduceBlock(count, 0, Sum());
  if (threadIdx.x == 0) counts[blockIdx.x] = count;
}

// One block per head: writes those positions in order, from offsets[head] on.
KERNEL write_selected_f32(int* indices, const int* offsets, const float* mask, int tokens,
                          int64 maskRow) {
  takeTurn();
  const float* row = mask + blockIdx.x * maskRow;
  int next = offsets[blockIdx.x];
  for (int first = 0; first < tokens; first += blockDim.x) {
    int i = first + threadIdx.x;
    uint32 selected = i < tokens && row[i] != 0;
    uint32 before = exclusiveScanBlock(selected);
    if (selected) indices[next + before] = i;
    next += __syncthreads_count(selected);
  }
}

// One block per head: sets 1 at the selected positions of a mask that is 0 everywhere.
KERNEL write_mask_f32(float* out, const int* indices, const int* offsets, int tokens) {
  takeTurn();
  int end = offsets[blockIdx.x + 1];
  for (int i = offsets[blockIdx.x] + threadIdx.x; i < end; i += blockDim.x) {
    out[(int64)blockIdx.x * tokens + indices[i]] = 1;
  }
}
