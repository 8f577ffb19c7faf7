// Matrix product c [M, N] = a [M, K] b [K, N] (+ bias [N]), any strides of a and b: a transpose is a view.
//
// A block computes SIDE x SIDE results. SIDE x DEPTH of a and DEPTH x SIDE of b lie in shared memory, so each value
// read from memory serves SIDE results; a thread holds 2 x 2 of them and reads 4 values for 4 products. Products are
// added along K in ascending order. Small on purpose: cuBLAS would be faster on large matrices and cannot be captured
// in a graph. Not yet run on a GPU.
#include "common.cuh"

#define SIDE 32
#define DEPTH 32
#define THREADS 256

template <typename T>
__global__ void __launch_bounds__(THREADS)
    gemm(const T* __restrict__ a, const T* __restrict__ b, const T* __restrict__ bias, T* __restrict__ c, int m, int n,
         int k, int64_t a_row, int64_t a_column, int64_t b_row, int64_t b_column) {
  SHARED(T, left);                         // [DEPTH][SIDE + 1]: one more, so that columns lie in different banks
  T* right = left + DEPTH * (SIDE + 1);    // [DEPTH][SIDE + 1]
  const int row = threadIdx.x / 16, column = threadIdx.x % 16;
  const int top = blockIdx.x * SIDE, begin = blockIdx.y * SIDE;
  T sums[2][2] = {};
  for (int depth = 0; depth < k; depth += DEPTH) {
    __syncthreads();
#pragma unroll
    for (int e = 0; e < SIDE * DEPTH / THREADS; e++) {  // all loads in flight at once
      const int i = e * THREADS + threadIdx.x;
      // neighbouring threads read along the axis whose values are neighbours
      const int ai = a_column == 1 ? i / DEPTH : i % SIDE, ak = a_column == 1 ? i % DEPTH : i / SIDE;
      const int bj = b_column == 1 ? i % SIDE : i / DEPTH, bk = b_column == 1 ? i / SIDE : i % DEPTH;
      left[ak * (SIDE + 1) + ai] =
          top + ai < m && depth + ak < k ? a[(top + ai) * a_row + (depth + ak) * a_column] : T(0);
      right[bk * (SIDE + 1) + bj] =
          begin + bj < n && depth + bk < k ? b[(depth + bk) * b_row + (begin + bj) * b_column] : T(0);
    }
    __syncthreads();
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
      const T* x = left + d * (SIDE + 1) + row;
      const T* y = right + d * (SIDE + 1) + column;
#pragma unroll
      for (int i = 0; i < 4; i++) sums[i / 2][i % 2] += x[i / 2 * 16] * y[i % 2 * 16];
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int r = top + row + i / 2 * 16, s = begin + column + i % 2 * 16;
    if (r < m && s < n) c[int64_t(r) * n + s] = sums[i / 2][i % 2] + (bias ? bias[s] : T(0));
  }
}
