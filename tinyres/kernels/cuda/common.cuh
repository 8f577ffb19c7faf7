// What all kernels share: shared memory, the roundings of the tensor cores, their matrix products, and sums in an order
// that is always the same. No header of CUDA's is included, so the text compiles by NVRTC as it stands, and by g++
// behind emulation.h. Not yet run on a GPU.
//
// Tensor cores are reached by the PTX instruction mma.sync, which a warp of 32 lanes carries out together:
//
//   mma_tf32   d[16,8] += a[16,8]  b[8,8]     products of TF32:  8 bits of exponent, 10 of mantissa
//   mma_bf16   d[16,8] += a[16,16] b[16,8]    products of bfloat16: 8 bits of exponent, 7 of mantissa
//
// Sums are float32. Every operand is a few 32-bit words a lane; with g = lane / 4 and q = lane % 4, in words
// (a word is one TF32 number, or two bfloat16 that are neighbours along k):
//
//   a[0] = A[g][q]    a[1] = A[g + 8][q]    a[2] = A[g][q + 4]    a[3] = A[g + 8][q + 4]
//   b[0] = B[q][g]    b[1] = B[q + 4][g]
//   d[0] = D[g][2q]   d[1] = D[g][2q + 1]   d[2] = D[g + 8][2q]   d[3] = D[g + 8][2q + 1]
//
// Source: PTX ISA, "Matrix fragments for mma.m16n8k8" and "... mma.m16n8k16".
#ifdef TINYRES_EMULATION
#define SHARED(T, name) T* name = reinterpret_cast<T*>(emulated::shared)
#else
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef int int32_t;
typedef long long int64_t;
typedef unsigned char uint8_t;
#define SHARED(T, name)                                          \
  extern __shared__ __align__(16) unsigned char shared_memory[]; \
  T* name = reinterpret_cast<T*>(shared_memory)
#endif

#define WARP 32
#define ALL_LANES 0xffffffffu

#ifdef TINYRES_EMULATION

// Round to the nearest TF32, halves away from zero, as cvt.rna does; what is not finite stays so.
__device__ inline uint32_t to_tf32(float x) {
  const uint32_t bits = __float_as_uint(x);
  return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u;
}

// Round to the nearest bfloat16, halves to even, as cvt.rn does.
inline uint32_t to_bf16(float x) {
  const uint32_t bits = __float_as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;
  return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

// Two neighbours along k in one word, the first one in the lower half.
inline uint32_t to_bf16x2(float first, float second) { return to_bf16(first) | to_bf16(second) << 16; }

// Lanes show each other their words; `value(word, part)` is the number in part 0 or 1 of a word.
template <int PARTS, class Value>
inline void emulated_mma(float d[4], const uint32_t a[4], const uint32_t b[2], Value value) {
  const uint32_t words[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const uint32_t* table = emulated::exchange(words, 6);
  const int g = emulated::lane() / 4, q = emulated::lane() % 4;
  for (int i = 0; i < 4; i++) {
    const int row = g + i / 2 * 8, column = 2 * q + i % 2;
    float sum = 0;
    for (int k = 0; k < 8; k++) {
      const uint32_t left = table[(row % 8 * 4 + k % 4) * emulated::WORDS + row / 8 + k / 4 * 2];
      const uint32_t right = table[(column * 4 + k % 4) * emulated::WORDS + 4 + k / 4];
      for (int part = 0; part < PARTS; part++) sum += value(left, part) * value(right, part);
    }
    d[i] += sum;
  }
}

inline void mma_tf32(float d[4], const uint32_t a[4], const uint32_t b[2]) {
  // the tensor core reads the upper 19 bits: an operand that nobody rounded is cut off, as it would be there
  emulated_mma<1>(d, a, b, [](uint32_t word, int) { return __uint_as_float(word & 0xffffe000u); });
}

inline void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2]) {
  emulated_mma<2>(d, a, b, [](uint32_t word, int part) { return __uint_as_float(part ? word & 0xffff0000u : word << 16); });
}

#else

__device__ __forceinline__ uint32_t to_tf32(float x) {
  uint32_t word;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(x));
  return word;
}

__device__ __forceinline__ uint32_t to_bf16x2(float first, float second) {
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
  return word;
}

__device__ __forceinline__ void mma_tf32(float d[4], const uint32_t a[4], const uint32_t b[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

// A sum that keeps what each addition loses, so that thousands of float32 terms cost no digits (Kahan 1965).
template <typename T>
struct Sum {
  T total = T(0), lost = T(0);
  __device__ __forceinline__ void add(T value) {
    const T corrected = value - lost, next = total + corrected;
    lost = (next - total) - corrected;
    total = next;
  }
};

// The sum over the lanes of a warp, in the same order always; every lane gets it.
template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int step = WARP / 2; step > 0; step /= 2) value += __shfl_xor_sync(ALL_LANES, value, step);
  return value;
}

// The sum over a block of whole warps; every thread gets it. `scratch` in shared memory holds a value a warp.
template <typename T>
__device__ __forceinline__ T block_sum(T value, T* scratch) {
  const int warps = (blockDim.x + WARP - 1) / WARP;
  value = warp_sum(value);
  __syncthreads();  // scratch may still be read from the sum before
  if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = value;
  __syncthreads();
  T total = T(0);
  for (int warp = 0; warp < warps; warp++) total += scratch[warp];
  return total;
}

// Whether 16 bytes can be read at once from an address.
__device__ __forceinline__ bool aligned(const void* address) { return (reinterpret_cast<uint64_t>(address) & 15) == 0; }

// Four neighbours from memory that is aligned to 16 bytes, at once, and back.
__device__ __forceinline__ void read4(float v[4], const float* from) {
  const float4 four = *reinterpret_cast<const float4*>(from);
  v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
}
__device__ __forceinline__ void read4(double v[4], const double* from) {
  const double2 low = *reinterpret_cast<const double2*>(from), high = *reinterpret_cast<const double2*>(from + 2);
  v[0] = low.x, v[1] = low.y, v[2] = high.x, v[3] = high.y;
}
__device__ __forceinline__ void write4(float* to, const float v[4]) {
  *reinterpret_cast<float4*>(to) = make_float4(v[0], v[1], v[2], v[3]);
}
__device__ __forceinline__ void write4(double* to, const double v[4]) {
  *reinterpret_cast<double2*>(to) = make_double2(v[0], v[1]);
  *reinterpret_cast<double2*>(to + 2) = make_double2(v[2], v[3]);
}
__device__ __forceinline__ void write4(uint32_t* to, const uint32_t v[4]) {
  *reinterpret_cast<uint4*>(to) = make_uint4(v[0], v[1], v[2], v[3]);
}
