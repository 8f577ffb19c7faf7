// Dropout: x * scale where kept, else 0. Which are kept is a pure function of (seed, step, place): kernels/masks.py.
//
// Bytes at n values of size s: 2 n s; about 100 integer operations a value. Not yet run on a GPU.
#include "philox.cuh"

#define DROPOUT 3u  // the stream of dropout

template <typename T>
__global__ void __launch_bounds__(256) dropout(const T* __restrict__ x, T* __restrict__ out, int64_t count,
                                               uint32_t threshold, T scale, uint32_t step, uint32_t key_low,
                                               uint32_t key_high) {
  const int64_t place = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (place >= count) return;
  const uint32_t word = philox(uint32_t(place), step, DROPOUT, 0, key_low, key_high).word[0];
  out[place] = word >= threshold ? x[place] * scale : T(0);
}
