// Small dense linear algebra for policies, in true single or double precision.
#include "common.cuh"

// Tiles of 64 x 64 results by 256 threads, each of which computes 4 x 4.
KERNEL __launch_bounds__(256)
    matmul_f32(float* out, const float* a, const float* b, int rows, int inner, int columns,
               int64 aRow, int64 bRow, const __grid_constant__ Walk walk) {
  takeTurn();
  constexpr int TILE = 64;
  constexpr int DEPTH = 16;
  __shared__ float aTile[DEPTH][TILE + 4];
  __shared__ float bTile[DEPTH][TILE];
  int64 at[2];
  offsets(walk, blockIdx.z, at);
  a += at[0];
  b += at[1];
  out += (int64)blockIdx.z * rows * columns;
  int firstRow = blockIdx.y * TILE;
  int firstColumn = blockIdx.x * TILE;
  int tx = threadIdx.x % 16;
  int ty = threadIdx.x / 16;
  float sum[4][4] = {};
  for (int k0 = 0; k0 < inner; k0 += DEPTH) {
#pragma unroll
    for (int i = threadIdx.x; i < TILE * DEPTH; i += 256) {
      int r = i / DEPTH;
      int k = i % DEPTH;
      bool inside = firstRow + r < rows && k0 + k < inner;
      aTile[k][r] = inside ? a[(firstRow + r) * aRow + k0 + k] : 0;
      int c = i % TILE;
      k = i / TILE;
      inside = firstColumn + c < columns && k0 + k < inner;
      bTile[k][c] = inside ? b[(k0 + k) * bRow + firstColumn + c] : 0;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
      float x[4], y[4];
#pragma unroll
      for (int i = 0; i < 4; i++) x[i] = aTile[k][ty * 4 + i], y[i] = bTile[k][tx + 16 * i];
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] += x[i] * y[j];
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      int r = firstRow + ty * 4 + i;
      int c = firstColumn + tx + 16 * j;
      if (r < rows && c < columns) out[(int64)r * columns + c] = sum[i][j];
    }
  }
}

constexpr int MAX_ORDER = 235;  // What fits shared memory as a packed triangle of doubles.

// Solves a x = b for symmetric positive definite a by a = l lᵀ, in double precision. One block per
// matrix; the lower triangle lies packed in shared memory. A pivot that is not positive sets
// *failed and makes the whole solution NaN.
KERNEL __launch_bounds__(256)
    cholesky_solve_f32(float* out, const float* a, const float* b, int n, int columns, int64 aRow,
                       int64 bRow, const __grid_constant__ Walk walk, int* failed) {
  takeTurn();
  extern __shared__ double l[];
  auto at = [](int row, int column) { return row * (row + 1) / 2 + column; };
  int64 start[2];
  offsets(walk, blockIdx.x, start);
  a += start[0];
  b += start[1];
  out += (int64)blockIdx.x * n * columns;
  for (int i = threadIdx.x; i < n * n; i += blockDim.x) {
    int row = i / n;
    int column = i % n;
    if (column <= row) l[at(row, column)] = a[row * aRow + column];
  }
  __syncthreads();
  for (int k = 0; k < n; k++) {
    double pivot = l[at(k, k)];
    if (!(pivot > 0)) {  // the same in all threads
      if (threadIdx.x == 0) *failed = 1;
      for (int i = threadIdx.x; i < n * columns; i += blockDim.x) out[i] = __int_as_float(0x7FFFFFFF);
      return;
    }
    double root = sqrt(pivot);
    __syncthreads();
    for (int row = k + threadIdx.x; row < n; row += blockDim.x) {
      l[at(row, k)] = row == k ? root : l[at(row, k)] / root;
    }
    __syncthreads();
    int left = n - k - 1;
    for (int i = threadIdx.x; i < left * left; i += blockDim.x) {
      int row = k + 1 + i / left;
      int column = k + 1 + i % left;
      if (column <= row) l[at(row, column)] -= l[at(row, k)] * l[at(column, k)];
    }
    __syncthreads();
  }
  double x[MAX_ORDER];
  for (int column = threadIdx.x; column < columns; column += blockDim.x) {
    for (int row = 0; row < n; row++) {
      double sum = b[row * bRow + column];
      for (int k = 0; k < row; k++) sum -= l[at(row, k)] * x[k];
      x[row] = sum / l[at(row, row)];
    }
    for (int row = n - 1; row >= 0; row--) {
      double sum = x[row];
      for (int k = row + 1; k < n; k++) sum -= l[at(k, row)] * x[k];
      x[row] = sum / l[at(row, row)];
      out[(int64)row * columns + column] = (float)x[row];
    }
  }
}
