// Products of a few rows with weights as they are stored: decoding reads every weight once for each
// token, so these kernels have to keep the memory busy and nothing else. Activations and sums are
// F32. A warp takes two rows of weights at a time; the input lies in shared memory, in an order
// that lets the lanes read it without bank conflicts.
#include "blocks.cuh"

struct GemvPart {
  const void* weight;
  float* out;
  const float* bias;
  int64 outRow;
  int rows;
  int unused;
};

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;

// Sixteen bytes that are read once.
inline uint4 loadOnce(const void* from) {
  uint4 x;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
               : "l"(from));
  return x;
}

// Where a group of four inputs lies in shared memory, for each kind of weights, and the dot
// products of two rows with it. `prepare` fills the shared memory; it is called when the first
// loads are under way.

// Plain weights: in whole chunks, lane l takes 16 bytes of each row; what is left goes one by one.
template <typename W>
struct Plain {
  static constexpr int PER_LOAD = 16 / sizeof(W);
  static constexpr int CHUNK = 32 * PER_LOAD;
  static constexpr int DEPTH = 4;

  const W* rows[2];
  int inputDim;
  int chunks;

  Plain(const void* first, const void* second, int64 firstRow, int64 secondRow, int inputDim)
      : rows{(const W*)first + firstRow * inputDim, (const W*)second + secondRow * inputDim},
        inputDim(inputDim),
        chunks(inputDim % PER_LOAD == 0 && isAligned(first, 16) && isAligned(second, 16)
                   ? inputDim / CHUNK
                   : 0) {}

  // 16-bit weights: the eight inputs of a lane are stored as two planes of four.
  int place(int group) const {
    if (sizeof(W) == 4 || 4 * group >= chunks * CHUNK) return 4 * group;
    int inChunk = group % 64;
    return group / 64 * 256 + inChunk % 2 * 128 + inChunk / 2 * 4;
  }

  void load(uint4 (&w)[2][DEPTH], int chunk) const {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
      if (chunk + d < chunks) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
          w[r][d] = loadOnce(rows[r] + (chunk + d) * CHUNK + lane * PER_LOAD);
        }
      }
    }
  }

  void multiply(const uint4 (&w)[2][DEPTH], int chunk, const float* x, float (&sum)[2]) const {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
      if (chunk + d < chunks) {
        const float* at = x + (chunk + d) * CHUNK + 4 * lane;
        float4 low = *reinterpret_cast<const float4*>(at);
        if (sizeof(W) == 4) {
#pragma unroll
          for (int r = 0; r < 2; r++) {
            sum[r] += __uint_as_float(w[r][d].x) * low.x + __uint_as_float(w[r][d].y) * low.y +
                      __uint_as_float(w[r][d].z) * low.z + __uint_as_float(w[r][d].w) * low.w;
          }
        } else {
          float4 high = *reinterpret_cast<const float4*>(at + 128);
#pragma unroll
          for (int r = 0; r < 2; r++) {
            float v[8];
            unpack8<typename Half<W>::Type>(w[r][d], v);
            sum[r] += v[0] * low.x + v[1] * low.y + v[2] * low.z + v[3] * low.w;
            sum[r] += v[4] * high.x + v[5] * high.y + v[6] * high.z + v[7] * high.w;
          }
        }
      }
    }
  }
  // F32 never gets there, but has to compile.
  template <typename T>
  struct Half {
    typedef T Type;
  };
  template <>
  struct Half<float> {
    typedef bf16 Type;
  };

  template <typename Prepare>
  void dot(const float* x, float (&sum)[2], Prepare prepare) const {
    uint4 now[2][DEPTH], next[2][DEPTH];
    load(now, 0);
    prepare();
    for (int chunk = 0; chunk < chunks; chunk += 2 * DEPTH) {
      load(next, chunk + DEPTH);
      multiply(now, chunk, x, sum);
      load(now, chunk + 2 * DEPTH);
      multiply(next, chunk + DEPTH, x, sum);
    }
    for (int i = chunks * CHUNK + threadIdx.x % 32; i < inputDim; i += 32) {
      sum[0] += toFloat(rows[0][i]) * x[i];
      sum[1] += toFloat(rows[1][i]) * x[i];
    }
  }
};

// Block types: a lane takes 32 numbers of each row. Groups of four are rotated by the unit.
template <typename Block>
struct Packed {
  const byte* data[2];
  int64 firstUnit[2];
  int units;

  Packed(const void* first, const void* second, int64 firstRow, int64 secondRow, int inputDim)
      : data{(const byte*)first, (const byte*)second},
        firstUnit{firstRow * (inputDim / 32), secondRow * (inputDim / 32)},
        units(inputDim / 32) {}

  int place(int group) const {
    int unit = group / 8;
    return 32 * unit + (group + unit) % 8 * 4;
  }

  template <typename Prepare>
  void dot(const float* x, float (&sum)[2], Prepare prepare) const {
    prepare();
    for (int unit = threadIdx.x % 32; unit < units; unit += 32) {
      float w[2][32];
      Block::unpack(data[0], firstUnit[0] + unit, w[0]);
      Block::unpack(data[1], firstUnit[1] + unit, w[1]);
#pragma unroll
      for (int g = 0; g < 8; g++) {
        float4 v = *reinterpret_cast<const float4*>(x + 32 * unit + (g + unit) % 8 * 4);
#pragma unroll
        for (int r = 0; r < 2; r++) {
          sum[r] += w[r][4 * g] * v.x + w[r][4 * g + 1] * v.y + w[r][4 * g + 2] * v.z +
                    w[r][4 * g + 3] * v.w;
        }
      }
    }
  }
};

// Two dot products of a warp with the input, or with its RMSNorm. Weights that never change are asked
// for while the kernels in front still run. That is a factor for the whole
// row, so it is applied to the sums, and the squares are summed while the input is being copied.
template <typename Weights>
static void dotProducts(const Weights& weights, int constant, const float* in, const float* norm,
                        float epsilon, int inputDim, float (&sum)[2]) {
  extern __shared__ float x[];
  letNextKernelStart();
  if (!constant) awaitPreviousKernel();
  float squares = 0;
  weights.dot(x, sum, [&] {
    awaitPreviousKernel();
    if (inputDim % 4 == 0 && isAligned(in, 16) && (norm == nullptr || isAligned(norm, 16))) {
#pragma unroll 4
      for (int group = threadIdx.x; group < inputDim / 4; group += THREADS) {
        float4 v = reinterpret_cast<const float4*>(in)[group];
        if (norm != nullptr) {
          float4 n = reinterpret_cast<const float4*>(norm)[group];
          squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
          v = make_float4(v.x * n.x, v.y * n.y, v.z * n.z, v.w * n.w);
        }
        *reinterpret_cast<float4*>(x + weights.place(group)) = v;
      }
    } else {
      for (int i = threadIdx.x; i < inputDim; i += THREADS) {
        float v = in[i];
        squares += v * v;
        x[weights.place(i / 4) + i % 4] = norm == nullptr ? v : v * norm[i];
      }
    }
    __syncthreads();
  });
  float scale = 1;
  if (norm != nullptr) scale = rsqrtf(reduceBlock(squares, 0.0f, Sum()) / inputDim + epsilon);
  sum[0] = reduceWarp(sum[0], Sum()) * scale;
  sum[1] = reduceWarp(sum[1], Sum()) * scale;
}

// out = W · n + bias for up to three matrices; blockIdx.x is the token, so that the blocks that
// read the same weights run together.
template <typename Weights>
static void gemv(const GemvPart& a, const GemvPart& b, const GemvPart& c, const float* in,
                 int64 inRow, const float* norm, float epsilon, int inputDim, int accumulate,
                 int constant) {
  constexpr int ROWS = 2 * WARPS;
  int block = blockIdx.y;
  int blocksOfA = (a.rows + ROWS - 1) / ROWS;
  int blocksOfB = (b.rows + ROWS - 1) / ROWS;
  bool inA = block < blocksOfA;
  bool inB = !inA && block < blocksOfA + blocksOfB;
  const GemvPart part = inA ? a : inB ? b : c;
  int row = (block - (inA ? 0 : inB ? blocksOfA : blocksOfA + blocksOfB)) * ROWS +
            2 * (threadIdx.x / 32);
  int last = part.rows - 1;
  Weights weights(part.weight, part.weight, min(row, last), min(row + 1, last), inputDim);
  float sum[2] = {};
  dotProducts(weights, constant, in + blockIdx.x * inRow, norm, epsilon, inputDim, sum);
  int lane = threadIdx.x % 32;
  if (lane < 2 && row + lane <= last) {
    float result = lane == 0 ? sum[0] : sum[1];
    if (part.bias != nullptr) result += part.bias[row + lane];
    float* out = part.out + blockIdx.x * part.outRow + row + lane;
    *out = accumulate ? *out + result : result;
  }
}

// out = swiGlu(gate · n, up · n); a warp takes one row of each.
template <typename Weights>
static void gemvSwiGlu(float* out, int64 outRow, const void* gate, const void* up,
                       const float* in, int64 inRow, const float* norm, float epsilon,
                       int inputDim, int rows, int constant) {
  int row = blockIdx.y * WARPS + threadIdx.x / 32;
  int present = min(row, rows - 1);
  Weights weights(gate, up, present, present, inputDim);
  float sum[2] = {};
  dotProducts(weights, constant, in + blockIdx.x * inRow, norm, epsilon, inputDim, sum);
  if (threadIdx.x % 32 == 0 && row < rows) {
    out[blockIdx.x * outRow + row] = sum[0] / (1 + expf(-sum[0])) * sum[1];
  }
}

#define GEMV(NAME, WEIGHTS)                                                                    \
  KERNEL __launch_bounds__(THREADS, 2)                                                         \
      gemv_##NAME(const __grid_constant__ GemvPart a, const __grid_constant__ GemvPart b,      \
                  const __grid_constant__ GemvPart c, const float* in, int64 inRow,            \
                  const float* norm, float epsilon, int inputDim, int accumulate,              \
                  int constant) {                                                              \
    gemv<WEIGHTS>(a, b, c, in, inRow, norm, epsilon, inputDim, accumulate, constant);          \
  }                                                                                            \
  KERNEL __launch_bounds__(THREADS, 2)                                                         \
      gemv_swiglu_##NAME(float* out, int64 outRow, const void* gate, const void* up,           \
                         const float* in, int64 inRow, const float* norm, float epsilon,       \
                         int inputDim, int rows, int constant) {                               \
    gemvSwiGlu<WEIGHTS>(out, outRow, gate, up, in, inRow, norm, epsilon, inputDim, rows,       \
                        constant);                                                             \
  }
#define PACKED_GEMV(NAME, BLOCK) GEMV(NAME, Packed<BLOCK>)
GEMV(f32, Plain<float>)
GEMV(bf16, Plain<bf16>)
GEMV(f16, Plain<f16>)
FOR_BLOCK_TYPES(PACKED_GEMV)
