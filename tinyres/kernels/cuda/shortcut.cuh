// Option A of the paper's shortcuts: every stride-th pixel of x [N, H, W, C], and zeros for the channels that are new,
// y [N, I, J, F]; and its transpose. A thread a value of the result, so nothing is added up and nothing set before.
//
// Bytes at n values of the result, of size s: at most 2 n s. Not yet run on a GPU.
#include "common.cuh"

template <typename T>
__global__ void __launch_bounds__(256) pad_shortcut(const T* __restrict__ x, T* __restrict__ y, int64_t count, int h,
                                                    int w, int c, int high, int wide, int f, int stride) {
  const int64_t place = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (place >= count) return;
  const int channel = place % f, j = place / f % wide, i = place / f / wide % high;
  const int64_t n = place / f / wide / high;
  y[place] = channel < c ? x[((n * h + i * stride) * w + j * stride) * c + channel] : T(0);
}

template <typename T>
__global__ void __launch_bounds__(256)
    pad_shortcut_gradient(const T* __restrict__ dy, T* __restrict__ dx, int64_t count, int h, int w, int c, int high,
                          int wide, int f, int stride) {
  const int64_t place = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (place >= count) return;
  const int channel = place % c, column = place / c % w, row = place / c / w % h;
  const int64_t n = place / c / w / h;
  const bool shown = row % stride == 0 && column % stride == 0;
  dx[place] = shown ? dy[((n * high + row / stride) * wide + column / stride) * f + channel] : T(0);
}
