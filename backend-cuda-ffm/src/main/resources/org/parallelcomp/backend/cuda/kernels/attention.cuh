// What the attention kernels share: how sequences and their keys are described, and the matrix
// units' instructions.
#pragma once
#include "common.cuh"

constexpr float LOG2_E = 1.4426950408889634f;
constexpr float LN_2 = 0.6931471805599453f;

// Which rows of the queries belong together, and the cache that they see. Causal: the last `rows`
// visible tokens are the rows' own, and row i does not see those of later rows.
struct Sequence {
  const void* keys;
  const void* values;
  int firstRow, rows, causal, unused;

  // The end of the tokens that a row sees.
  int visibleEnd(const Range& range, int row) const {
    return causal ? range.to - rows + row + 1 : range.to;
  }
};

// d += a · b for a [16, 16], b [16, 8] and d [16, 8] over the lanes of a warp. Lane l holds of d
// the rows l / 4 and l / 4 + 8, the columns 2 (l % 4) and the next.
template <typename T>
void multiplyTiles(float (&d)[4], const uint32 (&a)[4], uint32 b0, uint32 b1);
template <>
inline void multiplyTiles<bf16>(float (&d)[4], const uint32 (&a)[4], uint32 b0, uint32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
inline void multiplyTiles<f16>(float (&d)[4], const uint32 (&a)[4], uint32 b0, uint32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

inline uint32 sharedAddress(const void* pointer) {
  return (uint32)__cvta_generic_to_shared(pointer);
}

// Four 8 x 8 matrices of 16-bit numbers; lane l gives the address of row l % 8 of matrix l / 8.
inline void loadMatrices(uint32 (&x)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(sharedAddress(row)));
}
inline void loadMatricesTransposed(uint32 (&x)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(sharedAddress(row)));
}

// Starts to copy 16 bytes into shared memory, or to clear them.
inline void copyAsync(void* to, const void* from, bool present) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(sharedAddress(to)),
               "l"(from), "r"(present ? 16 : 0)
               : "memory");
}
inline void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING>
void awaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Eight numbers of a query, converted to the cache's type: what lies in a tile of shared memory.
template <typename T>
uint4 loadQuery8(const void* queries, int half, int64 at) {
  if (half) {
    const T* from = (const T*)queries + at;
    if (isAligned(from, 16)) return *reinterpret_cast<const uint4*>(from);
    float x[8];
    load8Anywhere(from, x);
    uint4 packed;
    store8(reinterpret_cast<T*>(&packed), x);
    return packed;
  }
  float x[8];
  load8Anywhere((const float*)queries + at, x);
  return make_uint4(packPair<T>(x[0], x[1]), packPair<T>(x[2], x[3]), packPair<T>(x[4], x[5]),
                    packPair<T>(x[6], x[7]));
}
