// Batch norm of x [rows, channels], channels last, with ReLU and the addition of a shortcut where they are asked for.
//
//   statistics      mean = sum x / M,  variance = sum (x - mean)^2 / M
//   normalise       y = (x - mean) * factor + beta (+ shortcut), not below 0 if asked
//   gradient_sums   dbeta = sum e,  dgamma = sum e * xhat;   e = dy where the output was positive (or everywhere)
//   gradient        dx = factor * (e - dbeta/M - xhat * dgamma/M)
//   factor = gamma * inv_std,  inv_std = 1 / sqrt(variance + eps),  xhat = (x - mean) * inv_std
//
// One pass over memory each, 4 channels at once where they divide by 4. Statistics: sum and sum of squares of
// x - pivot, the pivot being the block's first row. As the pivot belongs to the sum, a block's variance loses no more
// than a factor of its rows of the rounding unit, however far the mean is from 0; blocks are merged by their means in
// float64 (Chan, Golub, LeVeque 1979). The mask of bn_relu is computed again from x by the arithmetic of the forward
// pass, one rounding (fma), which is cheaper than reading y; bn_add_relu leaves e as dshortcut in its first pass.
//
// What differs in the inner loop is a parameter of a template, so that the loads of UNROLL rows stand together.
//
// Bytes at M values a channel, C channels, of size s:   statistics M C s,   normalise 2 M C s (3 with a shortcut),
// gradient_sums 2 M C s (bn_add_relu: 4), gradient 3 M C s. Not yet run on a GPU.
#include "reduce.cuh"

template <typename T>
struct Affine {  // one channel's (x - mean) * factor + beta
  T mean, factor, beta;
  __device__ __forceinline__ T operator()(T x) const { return fused(x - mean, factor, beta); }
};

template <typename T>
__device__ __forceinline__ T inverse_deviation(T variance, T eps) { return T(1) / sqrt(variance + eps); }

template <int V, typename T>
__device__ __forceinline__ void affine(Affine<T> to[V], int channel, const T* gamma, const T* beta, const T* mean,
                                       const T* variance, T eps) {
#pragma unroll
  for (int k = 0; k < V; k++) {
    to[k].mean = mean[channel + k];
    to[k].factor = gamma[channel + k] * inverse_deviation(variance[channel + k], eps);
    to[k].beta = beta ? beta[channel + k] : T(0);
  }
}

// ---- statistics: partials [blocks, 3, channels] of pivot, sum, sum of squares -------------------------------------

template <class Width, typename T>
__device__ int64_t partial_statistics(const T* __restrict__ x, T* partials, int64_t rows, int channels, T* scratch) {
  constexpr int V = Width::V;
  const Part<V> at(rows, channels);
  T pivot[V] = {}, sums[2 * V] = {};
  if (!at.idle && at.first < at.stop) {
    read<Width>(pivot, x + at.first * channels + at.channel);
#pragma unroll UNROLL
    for (int64_t row = at.first + at.lane; row < at.stop; row += at.lanes) {
      T v[V];
      read<Width>(v, x + row * channels + at.channel);
#pragma unroll
      for (int k = 0; k < V; k++) {
        const T off = v[k] - pivot[k];
        sums[k] += off;
        sums[V + k] = fused(off, off, sums[V + k]);
      }
    }
  }
  fold<2 * V>(sums, scratch, at);
  if (at.lane) return at.run;
  T* to = partials + int64_t(blockIdx.x) * 3 * channels + at.channel;
#pragma unroll
  for (int k = 0; k < V; k++) to[k] = pivot[k], to[channels + k] = sums[k], to[2 * channels + k] = sums[V + k];
  return at.run;
}

// Merged around the first block's mean: what differs from it is no larger than a few deviations.
template <typename T>
__device__ void merge_statistics(const T* partials, T* mean, T* variance, int64_t rows, int64_t run, int channels,
                                 int tile, double* scratch) {
  const int begin = blockIdx.y * tile;
  const Lanes at(min(tile, channels - begin));
  const int channel = begin + at.column;
  const T* own = partials + (at.idle ? 0 : channel);
  const double start = double(__ldcg(own)) + double(__ldcg(own + channels)) / (run < rows ? run : rows);
  double totals[2] = {0, 0};  // of x - start, and of its square
  over_blocks<3>(own, channels, at, [&](int block, const T* part) {  // pivot, sum, sum of squares
    const int64_t left = rows - block * run;
    if (left <= 0) return;
    const double n = double(left < run ? left : run), sum = part[1], here = part[0] + sum / n - start;
    totals[0] += n * here;
    totals[1] += part[2] - sum * (sum / n) + n * here * here;
  });
  fold<2>(totals, scratch, at);
  if (at.lane) return;
  const double shift = totals[0] / rows, square = totals[1] / rows - shift * shift;
  mean[channel] = T(start + shift);
  variance[channel] = T(square < 0 ? 0 : square);  // rounding, where all values are the same; a NaN stays one
}

template <typename T>
__global__ void __launch_bounds__(256, 2)  // with 3 blocks a multiprocessor of Blackwell's, registers spill
    statistics(const T* __restrict__ x, T* partials, int* counters, T* mean, T* variance, int64_t rows, int channels,
               int aligned) {
  SHARED(double, scratch);
  T* own = reinterpret_cast<T*>(scratch);
  int64_t run;
  WITH_WIDTH(channels, aligned, run = partial_statistics<Width>(x, partials, rows, channels, own));
  if (is_last(counters, scratch))
    merge_statistics(partials, mean, variance, rows, run, channels, TILE * (channels % 4 ? 1 : 4), scratch);
}

// ---- normalise ----------------------------------------------------------------------------------------------------

template <class Width, bool SHORTCUT, typename T>
__device__ void normalise_rows(const T* __restrict__ x, const T* gamma, const T* beta, const T* mean, const T* variance,
                               const T* __restrict__ shortcut, T* __restrict__ y, T eps, bool relu, int64_t rows,
                               int channels) {
  constexpr int V = Width::V;
  const Part<V> at(rows, channels);
  if (at.idle) return;
  Affine<T> of[V];
  affine<V>(of, at.channel, gamma, beta, mean, variance, eps);
#pragma unroll UNROLL
  for (int64_t row = at.first + at.lane; row < at.stop; row += at.lanes) {
    const int64_t place = row * channels + at.channel;
    T v[V], other[V];
    read<Width>(v, x + place);
    if constexpr (SHORTCUT) read<Width>(other, shortcut + place);
#pragma unroll
    for (int k = 0; k < V; k++) {
      v[k] = of[k](v[k]);
      if constexpr (SHORTCUT) v[k] += other[k];
      v[k] = relu && v[k] <= T(0) ? T(0) : v[k];  // a NaN is not <= 0 and stays
    }
    write<Width>(y + place, v);
  }
}

template <typename T, bool SHORTCUT>
__global__ void __launch_bounds__(256) normalise(const T* __restrict__ x, const T* gamma, const T* beta, const T* mean,
                                                 const T* variance, const T* __restrict__ shortcut, T* __restrict__ y,
                                                 T eps, int relu, int64_t rows, int channels, int aligned) {
  WITH_WIDTH(channels, aligned,
             normalise_rows<Width, SHORTCUT>(x, gamma, beta, mean, variance, shortcut, y, eps, relu, rows, channels));
}

// ---- gradient: partials [blocks, 2, channels] of sum e and sum e * (x - mean) -------------------------------------

enum Mask { EVERYWHERE, BY_INPUT, BY_OUTPUT };  // where e is dy: where the output, computed again or read, was positive

template <class Width, int MASK, typename T>
__device__ void partial_gradients(const T* __restrict__ dy, const T* __restrict__ y, const T* __restrict__ x,
                                  const T* gamma, const T* beta, const T* mean, const T* variance, T eps,
                                  T* __restrict__ dshortcut, T* partials, int64_t rows, int channels, T* scratch) {
  constexpr int V = Width::V;
  const Part<V> at(rows, channels);
  T sums[2 * V] = {};
  if (!at.idle) {
    Affine<T> of[V];
    affine<V>(of, at.channel, gamma, beta, mean, variance, eps);
#pragma unroll UNROLL
    for (int64_t row = at.first + at.lane; row < at.stop; row += at.lanes) {
      const int64_t place = row * channels + at.channel;
      T e[V], v[V], output[V];
      read<Width>(e, dy + place);
      read<Width>(v, x + place);
      if constexpr (MASK == BY_OUTPUT) read<Width>(output, y + place);
#pragma unroll
      for (int k = 0; k < V; k++) {
        if constexpr (MASK == BY_INPUT) output[k] = of[k](v[k]);
        if constexpr (MASK != EVERYWHERE) e[k] = output[k] > T(0) ? e[k] : T(0);
        sums[k] += e[k];
        sums[V + k] = fused(e[k], v[k] - of[k].mean, sums[V + k]);
      }
      if constexpr (MASK == BY_OUTPUT) write<Width>(dshortcut + place, e);
    }
  }
  fold<2 * V>(sums, scratch, at);
  if (at.lane) return;
  T* to = partials + int64_t(blockIdx.x) * 2 * channels + at.channel;
#pragma unroll
  for (int k = 0; k < V; k++) to[k] = sums[k], to[channels + k] = sums[V + k];
}

template <typename T>
__device__ void merge_gradients(const T* partials, const T* variance, T eps, T* dgamma, T* dbeta, int channels,
                                int tile, double* scratch) {
  const int begin = blockIdx.y * tile;
  const Lanes at(min(tile, channels - begin));
  const int channel = begin + at.column;
  double totals[2] = {0, 0};
  over_blocks<2>(partials + channel, channels, at,
                 [&](int, const T* part) { totals[0] += part[0], totals[1] += part[1]; });
  fold<2>(totals, scratch, at);
  if (at.lane) return;
  dbeta[channel] = T(totals[0]);
  dgamma[channel] = T(totals[1] * inverse_deviation(variance[channel], eps));
}

template <typename T, int MASK>
__global__ void __launch_bounds__(256, sizeof(T) == 4 ? 4 : 2)
    gradient_sums(const T* __restrict__ dy, const T* __restrict__ y, const T* __restrict__ x, const T* gamma,
                  const T* beta, const T* mean, const T* variance, T eps, T* __restrict__ dshortcut, T* partials,
                  int* counters, T* dgamma, T* dbeta, int64_t rows, int channels, int aligned) {
  SHARED(double, scratch);
  T* own = reinterpret_cast<T*>(scratch);
  WITH_WIDTH(channels, aligned,
             partial_gradients<Width, MASK>(dy, y, x, gamma, beta, mean, variance, eps, dshortcut, partials, rows,
                                            channels, own));
  if (is_last(counters, scratch))
    merge_gradients(partials, variance, eps, dgamma, dbeta, channels, TILE * (channels % 4 ? 1 : 4), scratch);
}

template <class Width, int MASK, typename T>
__device__ void gradient_rows(const T* __restrict__ dy, const T* __restrict__ x, const T* gamma, const T* beta,
                              const T* mean, const T* variance, T eps, const T* dgamma, const T* dbeta,
                              T* __restrict__ dx, int64_t rows, int channels) {
  constexpr int V = Width::V;
  const Part<V> at(rows, channels);
  if (at.idle) return;
  Affine<T> of[V];
  affine<V>(of, at.channel, gamma, beta, mean, variance, eps);
  T mean_e[V], slope[V];
#pragma unroll
  for (int k = 0; k < V; k++) {
    mean_e[k] = dbeta[at.channel + k] / T(rows);
    slope[k] = inverse_deviation(variance[at.channel + k], eps) * (dgamma[at.channel + k] / T(rows));
  }
#pragma unroll UNROLL
  for (int64_t row = at.first + at.lane; row < at.stop; row += at.lanes) {
    const int64_t place = row * channels + at.channel;
    T e[V], v[V];
    read<Width>(e, dy + place);
    read<Width>(v, x + place);
#pragma unroll
    for (int k = 0; k < V; k++) {
      if constexpr (MASK == BY_INPUT) e[k] = of[k](v[k]) > T(0) ? e[k] : T(0);
      v[k] = of[k].factor * (e[k] - mean_e[k] - (v[k] - of[k].mean) * slope[k]);
    }
    write<Width>(dx + place, v);
  }
}

template <typename T, int MASK>  // EVERYWHERE for dy that was masked already
__global__ void __launch_bounds__(256)
    gradient(const T* __restrict__ dy, const T* __restrict__ x, const T* gamma, const T* beta, const T* mean,
             const T* variance, T eps, const T* dgamma, const T* dbeta, T* __restrict__ dx, int64_t rows, int channels,
             int aligned) {
  WITH_WIDTH(channels, aligned,
             gradient_rows<Width, MASK>(dy, x, gamma, beta, mean, variance, eps, dgamma, dbeta, dx, rows, channels));
}
