// GGUF block types: what 32 consecutive numbers of a packed row are. After the GGUF specification
// and ggml's block layouts.
#pragma once
#include "common.cuh"

typedef unsigned char byte;

inline uint32 load16(const byte* at) { return *reinterpret_cast<const unsigned short*>(at); }
inline uint32 load32(const byte* at) { return load16(at) | load16(at + 2) << 16; }
inline float loadHalf(const byte* at) { return toFloat(f16{(unsigned short)load16(at)}); }
inline uint32 byteOf(uint32 word, int i) { return word >> 8 * i & 0xFF; }

// Each type: packed bytes for 32 numbers at a running index in units of 32. All blocks have an even
// number of bytes, so that 16-bit loads are aligned.
struct Q8_0 {
  static void unpack(const byte* data, int64 unit, float (&x)[32]) {
    const byte* block = data + unit * 34;
    float scale = loadHalf(block);
#pragma unroll
    for (int i = 0; i < 16; i++) {
      uint32 pair = load16(block + 2 + 2 * i);
      x[2 * i] = scale * (signed char)pair;
      x[2 * i + 1] = scale * (signed char)(pair >> 8);
    }
  }
};

// scale * q + offset; the lower nibbles are the first 16 numbers. With a fifth bit of each number
// in front of the nibbles or not.
template <bool FIFTH_BITS>
void unpackNibbles(const byte* at, float scale, float offset, float (&x)[32]) {
  uint32 high = FIFTH_BITS ? load32(at) : 0;
  const byte* nibbles = FIFTH_BITS ? at + 4 : at;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    uint32 word = load32(nibbles + 4 * i);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      int k = 4 * i + j;
      uint32 packed = byteOf(word, j);
      x[k] = scale * (float)((packed & 15) | (high >> k & 1) << 4) + offset;
      x[k + 16] = scale * (float)((packed >> 4) | (high >> (k + 16) & 1) << 4) + offset;
    }
  }
}
struct Q4_0 {
  static void unpack(const byte* data, int64 unit, float (&x)[32]) {
    const byte* block = data + unit * 18;
    float scale = loadHalf(block);
    unpackNibbles<false>(block + 2, scale, -8 * scale, x);
  }
};
struct Q4_1 {
  static void unpack(const byte* data, int64 unit, float (&x)[32]) {
    const byte* block = data + unit * 20;
    unpackNibbles<false>(block + 4, loadHalf(block), loadHalf(block + 2), x);
  }
};
struct Q5_0 {
  static void unpack(const byte* data, int64 unit, float (&x)[32]) {
    const byte* block = data + unit * 22;
    float scale = loadHalf(block);
    unpackNibbles<true>(block + 2, scale, -16 * scale, x);
  }
};
struct Q5_1 {
  static void unpack(const byte* data, int64 unit, float (&x)[32]) {
    const byte* block = data + unit * 24;
    unpackNibbles<true>(block + 4, loadHalf(block), loadHalf(block + 2), x);
  }
};

// The scale (group 0) or minimum (group 4) of a run: six bits, for the first four runs in the lower
// bits of the first eight bytes, for the others split between nibbles and those bytes' tops.
inline float sixBitScale(const byte* at, int run, int group) {
  if (run < 4) return at[group + run] & 63;
  uint32 nibbles = at[4 + run];
  uint32 low = group == 0 ? nibbles & 15 : nibbles >> 4;
  return (float)(low | (uint32)(at[group + run - 4] >> 6) << 4);
}
// Super-blocks of eight runs: d * scale * q - dmin * min.
template <bool FIFTH_BITS>
void unpackSuperBlock(const byte* block, int run, float (&x)[32]) {
  float scale = loadHalf(block) * sixBitScale(block + 4, run, 0);
  float least = loadHalf(block + 2) * sixBitScale(block + 4, run, 4);
  const byte* high = block + 16;
  const byte* nibbles = (FIFTH_BITS ? high + 32 : high) + 32 * (run / 2);
#pragma unroll
  for (int i = 0; i < 8; i++) {
    uint32 word = load32(nibbles + 4 * i) >> (run % 2 == 0 ? 0 : 4);
    uint32 fifth = FIFTH_BITS ? load32(high + 4 * i) >> run : 0;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      uint32 q = byteOf(word, j) & 15;
      if (FIFTH_BITS) q |= (byteOf(fifth, j) & 1) << 4;
      x[4 * i + j] = scale * (float)q - least;
    }
  }
}
struct Q4_K {
  static void unpack(const byte* data, int64 unit, float (&x)[32]) {
    unpackSuperBlock<false>(data + unit / 8 * 144, (int)(unit % 8), x);
  }
};
struct Q5_K {
  static void unpack(const byte* data, int64 unit, float (&x)[32]) {
    unpackSuperBlock<true>(data + unit / 8 * 176, (int)(unit % 8), x);
  }
};
// Two parts of four quarters of 32: low four bits, upper two bits, a scale for every 16 numbers.
struct Q6_K {
  static void unpack(const byte* data, int64 unit, float (&x)[32]) {
    const byte* block = data + unit / 8 * 210;
    int part = (int)(unit % 8) / 4;
    int quarter = (int)(unit % 4);
    float d = loadHalf(block + 208);
    const byte* low = block + 64 * part + 32 * (quarter % 2);
    const byte* high = block + 128 + 32 * part;
    uint32 scales = load16(block + 192 + 8 * part + 2 * quarter);
    float first = d * (signed char)scales;
    float second = d * (signed char)(scales >> 8);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      uint32 lows = load32(low + 4 * i) >> (quarter < 2 ? 0 : 4);
      uint32 highs = load32(high + 4 * i) >> 2 * quarter;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        int q = (int)((byteOf(lows, j) & 15) | (byteOf(highs, j) & 3) << 4) - 32;
        x[4 * i + j] = (i < 4 ? first : second) * q;
      }
    }
  }
};

#define FOR_BLOCK_TYPES(DO) \
  DO(q8_0, Q8_0) DO(q4_0, Q4_0) DO(q4_1, Q4_1) DO(q5_0, Q5_0) DO(q5_1, Q5_1) \
  DO(q4_k, Q4_K) DO(q5_k, Q5_K) DO(q6_k, Q6_K)
