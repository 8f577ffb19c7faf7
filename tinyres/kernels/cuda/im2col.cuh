// The column matrix of a convolution, and back.
//
//   im2col   columns[g, (n,i,j), (r,s,c)] = x[n, i*stride + r - top, j*stride + s - left, g*C/G + c], 0 outside
//   col2im   x[n,h,w,c] = the sum of all columns that were taken from there, in ascending order of (r, s)
//
// With it each pass of a convolution is one matrix product (two for the input's gradient): the readable way, which pays
// with memory traffic, R*S times that of x, written and read again. A thread a value; c is innermost on both sides, so
// neighbouring threads read and write neighbours. col2im gathers: nothing is added by two threads, no atomics.
// Not yet run on a GPU.
#include "common.cuh"

// Of images, columns and window, the same list for both kernels.
#define GEOMETRY \
  int h, int w, int c, int high, int wide, int r, int s, int groups, int stride, int top, int left

template <typename T>
__global__ void __launch_bounds__(256)
    im2col(const T* __restrict__ x, T* __restrict__ columns, int64_t count, int64_t rows, GEOMETRY) {
  const int64_t place = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (place >= count) return;
  const int own = c / groups;
  const int channel = place % own, tap = place / own % (r * s);
  const int64_t row = place / own / (r * s) % rows;
  const int group = place / own / (r * s) / rows;
  const int j = row % wide, i = row / wide % high;
  const int64_t n = row / wide / high;
  const int from_row = i * stride + tap / s - top, from_column = j * stride + tap % s - left;
  const bool inside = from_row >= 0 && from_row < h && from_column >= 0 && from_column < w;
  columns[place] = inside ? x[((n * h + from_row) * w + from_column) * c + group * own + channel] : T(0);
}

template <typename T>
__global__ void __launch_bounds__(256)
    col2im(const T* __restrict__ columns, T* __restrict__ x, int64_t count, int64_t rows, GEOMETRY) {
  const int64_t place = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (place >= count) return;
  const int own = c / groups;
  const int channel = place % c % own, group = place % c / own, column = place / c % w, row = place / c / w % h;
  const int64_t n = place / c / w / h;
  T sum = T(0);
  for (int tap = 0; tap < r * s; tap++) {
    const int down = row + top - tap / s, across = column + left - tap % s;
    const int i = down / stride, j = across / stride;
    if (down < 0 || across < 0 || down % stride || across % stride || i >= high || j >= wide) continue;
    sum += columns[((group * rows + (n * high + i) * wide + j) * (r * s) + tap) * own + channel];
  }
  x[place] = sum;
}
