// Max pooling with the place of each maximum, and global average pooling. x [N, H, W, C], channels last.
//
//   max_pool            a thread a result looks through its window: the first of equal values wins, a NaN over all
//   kept_channels       whether every place lies in the channel of its result, as those of a max pool do
//   max_pool_gradient   a thread a channel of an image goes through its results in order and adds dy where each maximum
//                       stood: nobody else adds there, so no atomics, and the same bits always. Places in other
//                       channels are allowed: then it goes through the results of all channels.
//   average, average_gradient   a thread a channel of an image; a thread a pixel's channel
//
// Bytes at n values of x and m of the result, of size s: (n + m) s and 8 m for the places. The gradient waits for one
// addition after the other and is bound by that, not by bytes. Not yet run on a GPU.
#include "common.cuh"

template <typename T>
__global__ void __launch_bounds__(256)
    max_pool(const T* __restrict__ x, T* __restrict__ y, int64_t* __restrict__ place, int64_t count, int h, int w,
             int c, int high, int wide, int size, int stride, int padding) {
  const int64_t result = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (result >= count) return;
  const int channel = result % c, j = result / c % wide, i = result / c / wide % high;
  const T* image = x + result / c / wide / high * h * w * c;
  T best = T(0);
  int64_t at = -1;
  for (int row = max(i * stride - padding, 0); row < min(i * stride - padding + size, h); row++)
    for (int column = max(j * stride - padding, 0); column < min(j * stride - padding + size, w); column++) {
      const int64_t here = (int64_t(row) * w + column) * c + channel;
      const T v = image[here];
      if (at < 0 || v > best || (v != v && best == best)) best = v, at = here;
    }
  y[result] = best;
  place[result] = at;
}

__global__ void __launch_bounds__(256) kept_channels(const int64_t* __restrict__ place, int* mixed, int64_t count,
                                                     int c) {
  const int64_t result = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (result < count && place[result] % c != result % c) atomicMax(mixed, 1);
}

template <typename T>
__global__ void __launch_bounds__(64)
    max_pool_gradient(const T* __restrict__ dy, const int64_t* __restrict__ place, const int* mixed, T* dx,
                      int64_t channels, int pixels, int results, int c) {
  const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;  // [N, C]
  if (thread >= channels) return;
  const int channel = thread % c;
  T* image = dx + thread / c * pixels * c;
  for (int i = 0; i < pixels; i++) image[int64_t(i) * c + channel] = T(0);
  const int64_t first = thread / c * results * c;
  const bool all = *mixed;
  for (int64_t i = all ? 0 : channel; i < int64_t(results) * c; i += all ? 1 : c) {
    const int64_t at = place[first + i];
    if (at % c == channel) image[at] += dy[first + i];
  }
}

template <typename T>
__global__ void __launch_bounds__(256)
    average(const T* __restrict__ x, T* __restrict__ y, int64_t channels, int pixels, int c) {
  const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;  // [N, C]
  if (thread >= channels) return;
  const T* from = x + thread / c * pixels * c + thread % c;
  Sum<T> sum;
#pragma unroll 16
  for (int i = 0; i < pixels; i++) sum.add(from[int64_t(i) * c]);
  y[thread] = sum.total / T(pixels);
}

template <typename T>
__global__ void __launch_bounds__(256)
    average_gradient(const T* __restrict__ dy, T* __restrict__ dx, int64_t count, int pixels, int c) {
  const int64_t place = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (place < count) dx[place] = dy[place / c / pixels * c + place % c] / T(pixels);
}
