// The roof of a GPU: what it can compute out of registers, what it can copy, and what launching nothing costs.
//
//   ffma<float>           fused multiply-adds, CHAINS independent sums a thread          2 CHAINS UNROLLED a round
//   tensor_tf32           mma.sync m16n8k8,  TILES independent tiles a warp            2 * 16 * 8 * 8  a product
//   tensor_bf16           mma.sync m16n8k16, the same                                  2 * 16 * 8 * 16 a product
//   copy                  one read and one write a value: of memory on large arrays, of the L2 on small ones
//   nothing               one node of a chain, to see what a dependent launch costs
//
// Nothing is read before the arithmetic and one value a thread is written after it, so that the compiler can drop no
// work. Several chains (or tiles) are in flight at once, because one instruction takes several cycles to answer.
// Every result is known, so that a test can ask for it. Not yet run on a GPU.
#include "common.cuh"

#define CHAINS 8
#define UNROLLED 16
#define TILES 4

// Each sum goes to its fixed point, s = s / 2 + 1 = 2, so no value is ever denormal or infinite.
template <typename T>
__global__ void ffma(T* out, int rounds) {
  const int thread = blockIdx.x * blockDim.x + threadIdx.x;
  T sums[CHAINS];
#pragma unroll
  for (int chain = 0; chain < CHAINS; chain++) sums[chain] = T(thread % 32 + chain);  // not the same, or they are one
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int step = 0; step < UNROLLED; step++) {
#pragma unroll
      for (int chain = 0; chain < CHAINS; chain++) sums[chain] = sums[chain] * T(0.5) + T(1);
    }
  }
  T total = T(0);
#pragma unroll
  for (int chain = 0; chain < CHAINS; chain++) total += sums[chain];
  out[thread] = total;
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800  // older cards have neither precision

// d += a b with a = 1/64 and b = 1 everywhere, tile t beginning at t: after `rounds` products each of its values is
// t + rounds * K / 64, exact in float32 for all that are measured (rounds below 2^24).
__global__ void tensor_tf32(float* out, int rounds) {
  const float value = 0.015625f;
  const uint32_t a[4] = {to_tf32(value), to_tf32(value), to_tf32(value), to_tf32(value)};
  const uint32_t b[2] = {to_tf32(1.0f), to_tf32(1.0f)};
  float d[TILES][4];
#pragma unroll
  for (int tile = 0; tile < TILES; tile++) d[tile][0] = d[tile][1] = d[tile][2] = d[tile][3] = float(tile);
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) mma_tf32(d[tile], a, b);
  }
  float total = 0.0f;
#pragma unroll
  for (int tile = 0; tile < TILES; tile++) total += d[tile][0] + d[tile][1] + d[tile][2] + d[tile][3];
  out[blockIdx.x * blockDim.x + threadIdx.x] = total;
}

__global__ void tensor_bf16(float* out, int rounds) {
  const uint32_t part = to_bf16x2(0.015625f, 0.015625f), one = to_bf16x2(1.0f, 1.0f);
  const uint32_t a[4] = {part, part, part, part};
  const uint32_t b[2] = {one, one};
  float d[TILES][4];
#pragma unroll
  for (int tile = 0; tile < TILES; tile++) d[tile][0] = d[tile][1] = d[tile][2] = d[tile][3] = float(tile);
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) mma_bf16(d[tile], a, b);
  }
  float total = 0.0f;
#pragma unroll
  for (int tile = 0; tile < TILES; tile++) total += d[tile][0] + d[tile][1] + d[tile][2] + d[tile][3];
  out[blockIdx.x * blockDim.x + threadIdx.x] = total;
}

#endif

// `count` vectors of four values, each block a run of them after the other, so that all blocks read far apart.
__global__ void copy(const float4* from, float4* to, int count) {
  const int threads = gridDim.x * blockDim.x;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += threads) to[i] = from[i];
}

__global__ void nothing() {}
