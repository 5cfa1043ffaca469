// What the kernels share: number types, walks over strided operands, reductions within a warp and a
// block. NVRTC gets this file as an in-memory header, so that no toolkit folder is needed.
#pragma once

typedef long long int64;
typedef unsigned int uint32;

// The two 16-bit types, told apart by the compiler. CUDA's own headers for them are not used,
// because an installation may have NVRTC and no headers.
struct bf16 {
  unsigned short bits;
};
struct f16 {
  unsigned short bits;
};

constexpr uint32 ALL_LANES = 0xFFFFFFFFu;
#define INFINITE __int_as_float(0x7F800000)
#define NOT_A_NUMBER __int_as_float(0x7FFFFFFF)

inline float toFloat(float x) { return x; }
inline float toFloat(bf16 x) { return __uint_as_float((uint32)x.bits << 16); }
inline float toFloat(f16 x) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
  return result;
}

// Rounds to the nearest, ties to even.
template <typename T>
T fromFloat(float x);
template <>
inline float fromFloat<float>(float x) {
  return x;
}
template <>
inline bf16 fromFloat<bf16>(float x) {
  bf16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
  return result;
}
template <>
inline f16 fromFloat<f16>(float x) {
  f16 result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
  return result;
}

// Two 16-bit numbers in one register, the first in the lower half.
template <typename T>
uint32 packPair(float first, float second);
template <>
inline uint32 packPair<bf16>(float first, float second) {
  uint32 pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
}
template <>
inline uint32 packPair<f16>(float first, float second) {
  uint32 pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
}
template <typename T>
void unpackPair(uint32 pair, float& first, float& second) {
  first = toFloat(T{(unsigned short)pair});
  second = toFloat(T{(unsigned short)(pair >> 16)});
}

inline bool isAligned(const void* pointer, int bytes) {
  return (reinterpret_cast<unsigned long long>(pointer) & (bytes - 1)) == 0;
}

// Eight consecutive numbers from or to a 16-byte boundary.
inline void load8(const float* from, float (&x)[8]) {
  float4 a = reinterpret_cast<const float4*>(from)[0];
  float4 b = reinterpret_cast<const float4*>(from)[1];
  x[0] = a.x, x[1] = a.y, x[2] = a.z, x[3] = a.w;
  x[4] = b.x, x[5] = b.y, x[6] = b.z, x[7] = b.w;
}
template <typename T>
void unpack8(uint4 packed, float (&x)[8]) {
  unpackPair<T>(packed.x, x[0], x[1]);
  unpackPair<T>(packed.y, x[2], x[3]);
  unpackPair<T>(packed.z, x[4], x[5]);
  unpackPair<T>(packed.w, x[6], x[7]);
}
template <typename T>
void load8(const T* from, float (&x)[8]) {
  unpack8<T>(*reinterpret_cast<const uint4*>(from), x);
}
inline void store8(float* to, const float (&x)[8]) {
  reinterpret_cast<float4*>(to)[0] = make_float4(x[0], x[1], x[2], x[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(x[4], x[5], x[6], x[7]);
}
template <typename T>
void store8(T* to, const float (&x)[8]) {
  *reinterpret_cast<uint4*>(to) =
      make_uint4(packPair<T>(x[0], x[1]), packPair<T>(x[2], x[3]), packPair<T>(x[4], x[5]),
                 packPair<T>(x[6], x[7]));
}

// The same from or to anywhere.
template <typename T>
void load8Anywhere(const T* from, float (&x)[8]) {
  if (isAligned(from, 16)) {
    load8(from, x);
  } else {
#pragma unroll
    for (int k = 0; k < 8; k++) x[k] = toFloat(from[k]);
  }
}
template <typename T>
void store8Anywhere(T* to, const float (&x)[8]) {
  if (isAligned(to, 16)) {
    store8(to, x);
  } else {
#pragma unroll
    for (int k = 0; k < 8; k++) to[k] = fromFloat<T>(x[k]);
  }
}

// The visible tokens of a kv head, and its first slot.
struct Range {
  int firstSlot, from, to, unused;
};

// How to find the elements of strided operands from a running index over `extent`, outermost
// first. A stride of 0 repeats.
struct Walk {
  int rank;
  int unused;
  int64 extent[6];
  int64 stride[4][6];
};

// The offsets of the first N operands at an index.
template <int N>
void offsets(const Walk& walk, int64 index, int64 (&at)[N]) {
#pragma unroll
  for (int i = 0; i < N; i++) at[i] = 0;
  for (int axis = walk.rank - 1; axis >= 0; axis--) {
    int64 extent = walk.extent[axis];
    int64 along;
    if (axis == 0) {
      along = index;
    } else if (((index | extent) >> 32) == 0) {
      along = (uint32)index % (uint32)extent;
      index = (uint32)index / (uint32)extent;
    } else {
      along = index % extent;
      index /= extent;
    }
#pragma unroll
    for (int i = 0; i < N; i++) at[i] += along * walk.stride[i][axis];
  }
}
inline int64 offset(const Walk& walk, int64 index) {
  int64 at[1];
  offsets(walk, index, at);
  return at[0];
}

inline int64 globalThread() { return (int64)blockIdx.x * blockDim.x + threadIdx.x; }

struct Sum {
  template <typename T>
  T operator()(T a, T b) const {
    return a + b;
  }
};
// Greatest and least that pass NaN on.
struct Greatest {
  float operator()(float a, float b) const { return a != a || a > b ? a : b; }
};
struct Least {
  float operator()(float a, float b) const { return a != a || a < b ? a : b; }
};

template <typename T, typename Op>
T reduceWarp(T value, Op op) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value = op(value, __shfl_xor_sync(ALL_LANES, value, distance));
  }
  return value;
}

// Reduces over a block of whole warps and hands the result to all threads.
template <typename T, typename Op>
T reduceBlock(T value, T neutral, Op op) {
  __shared__ T ofWarp[32];
  int lane = threadIdx.x % 32;
  value = reduceWarp(value, op);
  __syncthreads();  // An earlier reduction may still be read.
  if (lane == 0) ofWarp[threadIdx.x / 32] = value;
  __syncthreads();
  value = lane < blockDim.x / 32 ? ofWarp[lane] : neutral;
  return reduceWarp(value, op);
}

// The sum over the threads before this one in the block, whose size is a multiple of 32.
inline uint32 exclusiveScanBlock(uint32 value) {
  __shared__ uint32 ofWarp[32];
  int lane = threadIdx.x % 32;
  int warp = threadIdx.x / 32;
  uint32 inclusive = value;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    uint32 before = __shfl_up_sync(ALL_LANES, inclusive, distance);
    if (lane >= distance) inclusive += before;
  }
  __syncthreads();
  if (lane == 31) ofWarp[warp] = inclusive;
  __syncthreads();
  uint32 warpsBefore = lane < warp ? ofWarp[lane] : 0;
  return reduceWarp(warpsBefore, Sum()) + inclusive - value;
}

inline float fastExp2(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

// Programmatic dependent launch: a kernel may start while those before it in the stream still run, so
// each lets the next one start and must not touch what others write before it has waited for them.
inline void letNextKernelStart() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
inline void awaitPreviousKernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
// What a kernel begins with that has nothing to do before those in front of it are done.
inline void takeTurn() {
  letNextKernelStart();
  awaitPreviousKernel();
}

#define KERNEL extern "C" __global__ void
