// The sum over the rows of x [rows, columns], such as the gradient of a bias; see reduce.cuh for the order.
//
// Bytes at n values of size s: n s. Not yet run on a GPU.
#include "reduce.cuh"

template <class Width, typename T>
__device__ void partial_sums(const T* __restrict__ x, T* partials, int64_t rows, int columns, T* scratch) {
  constexpr int V = Width::V;
  const Part<V> at(rows, columns);
  T sums[V] = {};
  if (!at.idle) {
#pragma unroll UNROLL
    for (int64_t row = at.first + at.lane; row < at.stop; row += at.lanes) {
      T v[V];
      read<Width>(v, x + row * columns + at.channel);
#pragma unroll
      for (int k = 0; k < V; k++) sums[k] += v[k];
    }
  }
  fold<V>(sums, scratch, at);
  if (at.lane) return;
#pragma unroll
  for (int k = 0; k < V; k++) partials[int64_t(blockIdx.x) * columns + at.channel + k] = sums[k];
}

template <typename T>
__global__ void __launch_bounds__(256) column_sums(const T* __restrict__ x, T* partials, int* counters, T* sums,
                                                   T scale, int64_t rows, int columns, int aligned) {
  SHARED(double, scratch);
  T* own = reinterpret_cast<T*>(scratch);
  WITH_WIDTH(columns, aligned, partial_sums<Width>(x, partials, rows, columns, own));
  if (!is_last(counters, scratch)) return;
  const int tile = TILE * (columns % 4 ? 1 : 4), begin = blockIdx.y * tile;
  const Lanes at(min(tile, columns - begin));
  double total[1] = {0};
  over_blocks<1>(partials + begin + at.column, columns, at, [&](int, const T* own) { total[0] += own[0]; });
  fold<1>(total, scratch, at);
  if (at.lane == 0) sums[begin + at.column] = T(total[0] * scale);
}
