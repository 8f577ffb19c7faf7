// In which precision a convolution multiplies. A precision says what a word of shared memory is (PACK channels of T),
// and, for tensor cores, in how many PARTS a word takes part in the products.
//
//   Full<T>   fused multiply-adds of T itself: float or double, on every card
//   Tf32      both factors rounded to TF32, one product               error of a factor at most 2^-11
//   Tf32x3    x = high + low, both TF32; three products of the four   about 2^-21, as good as float32
//   Bf16      both factors rounded to bfloat16, two in a word         2^-9
//
// Sums are float32 in all three. A tensor core cuts its sums off instead of rounding them, which would cost Tf32x3 what
// it is for: it lets the tensor core add up eight products at a time and adds those itself.
// Source: Ootomo and Yokota, "Recovering single precision accuracy from Tensor Cores", 2022.
// Not yet run on a GPU.
#include "common.cuh"

template <typename Number>
struct Full {
  using T = Number;
  using Word = Number;
  using Apart = Full;
  static constexpr int PACK = 1, STEP = 8;
  static __device__ __forceinline__ void put(Word* to, const T v[4]) { write4(to, v); }
  static __device__ __forceinline__ Word pack(T first, T) { return first; }
};

struct Tf32 {
  using T = float;
  using Word = uint32_t;
  using Apart = Tf32;
  static constexpr int PACK = 1, PARTS = 1, STEP = 8;
  static __device__ __forceinline__ Word pack(T first, T) { return to_tf32(first); }
  static __device__ __forceinline__ void put(Word* to, const T v[4]) {
    const Word words[4] = {to_tf32(v[0]), to_tf32(v[1]), to_tf32(v[2]), to_tf32(v[3])};
    write4(to, words);
  }
  template <int N>
  static __device__ __forceinline__ void split(Word word, Word (*parts)[N], int i) {
    parts[0][i] = word;
  }
  static __device__ __forceinline__ void multiply(float d[4], const Word (*a)[4], const Word (*b)[2]) {
    mma_tf32(d, a[0], b[0]);
  }
};

// A word that holds a float as it is; rounded when it is multiplied.
struct Raw {
  using T = float;
  using Word = uint32_t;
  static constexpr int PACK = 1;
  static __device__ __forceinline__ Word pack(T first, T) { return __float_as_uint(first); }
  static __device__ __forceinline__ void put(Word* to, const T v[4]) { write4(reinterpret_cast<float*>(to), v); }
};

struct Tf32x3 : Raw {
  using Apart = Raw;
  static constexpr int PARTS = 2, STEP = 8;
  template <int N>
  static __device__ __forceinline__ void split(Word word, Word (*parts)[N], int i) {
    const float x = __uint_as_float(word);
    const Word high = to_tf32(x);
    parts[0][i] = high;
    parts[1][i] = to_tf32(x - __uint_as_float(high));
  }
  static __device__ __forceinline__ void multiply(float d[4], const Word (*a)[4], const Word (*b)[2]) {
    float eight[4] = {0, 0, 0, 0};
    mma_tf32(eight, a[1], b[0]);
    mma_tf32(eight, a[0], b[1]);
    mma_tf32(eight, a[0], b[0]);
#pragma unroll
    for (int i = 0; i < 4; i++) d[i] += eight[i];
  }
};

struct Bf16 {
  using T = float;
  using Word = uint32_t;
  using Apart = Raw;
  static constexpr int PACK = 2, PARTS = 1, STEP = 16;
  static __device__ __forceinline__ Word pack(T first, T second) { return to_bf16x2(first, second); }
  static __device__ __forceinline__ void put(Word* to, const T v[4]) {
    *reinterpret_cast<uint2*>(to) = make_uint2(to_bf16x2(v[0], v[1]), to_bf16x2(v[2], v[3]));
  }
  template <int N>
  static __device__ __forceinline__ void split(Word word, Word (*parts)[N], int i) {
    parts[0][i] = word;
  }
  static __device__ __forceinline__ void multiply(float d[4], const Word (*a)[4], const Word (*b)[2]) {
    mma_bf16(d, a[0], b[0]);
  }
};
