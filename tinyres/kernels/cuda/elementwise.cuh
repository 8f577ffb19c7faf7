// Arithmetic on arrays of equal shape, 4 values at once where they are aligned.
//
//   ADD  a + b     RELU  a, not below 0     ADD_RELU  a + b, not below 0     RELU_GRADIENT  a where b > 0, else 0
//
// A NaN that comes into a ReLU goes out. Bytes at n values of size s: 3 n s (RELU: 2). Not yet run on a GPU.
#include "common.cuh"

enum Kind { ADD, RELU, ADD_RELU, RELU_GRADIENT };

template <typename T>
__device__ __forceinline__ T value_of(int kind, T a, T b) {
  if (kind == RELU_GRADIENT) return b > T(0) ? a : T(0);
  const T sum = kind == RELU ? a : a + b;
  return kind != ADD && sum <= T(0) ? T(0) : sum;
}

template <typename T>
__global__ void __launch_bounds__(256, 4) elementwise(int kind, const T* a, const T* b, T* out, int64_t count,
                                                   int aligned) {
  const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, threads = int64_t(gridDim.x) * blockDim.x;
  const int64_t fours = aligned ? count / 4 : 0;
  for (int64_t i = thread; i < fours; i += threads) {
    T v[4], other[4] = {};
    read4(v, a + 4 * i);
    if (b) read4(other, b + 4 * i);
#pragma unroll
    for (int k = 0; k < 4; k++) v[k] = value_of(kind, v[k], other[k]);
    write4(out + 4 * i, v);
  }
  for (int64_t i = 4 * fours + thread; i < count; i += threads) out[i] = value_of(kind, a[i], b ? b[i] : T(0));
}
