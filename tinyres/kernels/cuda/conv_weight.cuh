// The gradient of a convolution's filters, also as an implicit matrix product. Not yet run on a GPU.
//
//   dw[tap, channel, filter] = sum over pixels of x[window of the pixel, channel] * dy[pixel, filter]
//
// Here the sum runs over pixels, of which there are many, and the result is small. So the pixels are split over blocks;
// each writes what it summed, and a second kernel adds those up in their order: no atomics, the same bits every time.
//
//   grid    x: parts of the pixels    y: groups * tiles of 16 channels * chunks of KB filters    z: rectangles of taps
//   block   tap_warps * pixel_warps warps. A warp has up to 3 taps x 16 channels x KB filters in registers, for every
//           pixel_warps-th step of 8 or 16 pixels; reading dy once for three taps saves shared memory's time
//   shared  offsets, places [pixels] int, then x [..][16 + 8] and dy [pixels][KB + 8], or at the end dw [taps][16][KB]
//
// With a pitch of 8 more than a multiple of 16 words, four pixels by eight channels fall into 32 banks where the stride
// is 1. Which pixels of a step are "neighbours along k" is free, as long as x and dy agree: lane q has q, q + 4, ...
//
// ResNet-20, batch 128, 132 multiprocessors: 264 blocks (264 parts x 1, 132 x 2, 33 x 8) of 192 threads, 30 to 40 KB of
// shared memory each, and 2 to 5 MB of parts, which stay in the L2 of a large card (an estimate).
#include "conv_tile.cuh"

#define TAPS 3
#define PITCH 24
#define AHEAD 16  // parts that are on their way from memory at once

template <class P, int KB>
struct WeightProduct {  // on tensor cores
  float sums[TAPS][KB / 8][4];

  __device__ __forceinline__ void begin() {
#pragma unroll
    for (int t = 0; t < TAPS; t++)
#pragma unroll
      for (int j = 0; j < KB / 8; j++) sums[t][j][0] = sums[t][j][1] = sums[t][j][2] = sums[t][j][3] = 0.0f;
  }

  // Word i along k of this lane: a value of a pixel, or two of them that become one word of bfloat16.
  static __device__ __forceinline__ uint32_t word(const uint32_t* values, const int* at, int i) {
    if constexpr (P::PACK == 1) return values[at[i]];
    return P::pack(__uint_as_float(values[at[2 * i]]), __uint_as_float(values[at[2 * i + 1]]));
  }

  // One step: P::STEP pixels, their offsets in x, their rows of dy; taps from `windows`, `own` of which exist.
  __device__ __forceinline__ void add(const uint32_t* x, const uint32_t* dy, const int* offsets, const int windows[TAPS],
                                      int own) {
    const int g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
    int at[2 * P::PACK], rows[2 * P::PACK];
#pragma unroll
    for (int i = 0; i < 2 * P::PACK; i++) at[i] = offsets[q + 4 * i] + g, rows[i] = (q + 4 * i) * (KB + 8) + g;
    uint32_t b[KB / 8][P::PARTS][2];
#pragma unroll
    for (int j = 0; j < KB / 8; j++)
#pragma unroll
      for (int i = 0; i < 2; i++) P::split(word(dy + j * 8, rows, i), b[j], i);
#pragma unroll
    for (int t = 0; t < TAPS; t++) {
      if (t >= own) break;
      uint32_t a[P::PARTS][4];
#pragma unroll
      for (int i = 0; i < 4; i++) P::split(word(x + windows[t] + i % 2 * 8, at, i / 2), a, i);
#pragma unroll
      for (int j = 0; j < KB / 8; j++) P::multiply(sums[t][j], a, b[j]);
    }
  }

  // Into [tap][16][KB], after what other warps have put there.
  __device__ __forceinline__ void write(float* result, int own, bool first) const {
    const int g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
#pragma unroll
    for (int t = 0; t < TAPS; t++) {
      if (t >= own) break;
#pragma unroll
      for (int j = 0; j < KB / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          float* to = result + (t * 16 + g + i / 2 * 8) * KB + j * 8 + 2 * q + i % 2;
          *to = first ? sums[t][j][i] : *to + sums[t][j][i];
        }
    }
  }
};

template <typename T, int KB>
struct WeightProduct<Full<T>, KB> {  // a lane has 4 channels and KB / 8 filters
  static constexpr int OWN = KB / 8;
  T sums[TAPS][4][OWN];

  __device__ __forceinline__ void begin() {
#pragma unroll
    for (int t = 0; t < TAPS; t++)
#pragma unroll
      for (int c = 0; c < 4; c++)
#pragma unroll
        for (int j = 0; j < OWN; j++) sums[t][c][j] = T(0);
  }

  __device__ __forceinline__ void add(const T* x, const T* dy, const int* offsets, const int windows[TAPS], int own) {
    const int g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
    for (int p = 0; p < Full<T>::STEP; p++) {
      T errors[OWN];
#pragma unroll
      for (int j = 0; j < OWN; j++) errors[j] = dy[p * (KB + 8) + g * OWN + j];
      const T* pixel = x + offsets[p] + q * 4;
#pragma unroll
      for (int t = 0; t < TAPS; t++) {
        if (t >= own) break;
        T channels[4];
        read4(channels, pixel + windows[t]);
#pragma unroll
        for (int c = 0; c < 4; c++)
#pragma unroll
          for (int j = 0; j < OWN; j++) sums[t][c][j] = fma(channels[c], errors[j], sums[t][c][j]);
      }
    }
  }

  __device__ __forceinline__ void write(T* result, int own, bool first) const {
    const int g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
#pragma unroll
    for (int t = 0; t < TAPS; t++) {
      if (t >= own) break;
#pragma unroll
      for (int c = 0; c < 4; c++)
#pragma unroll
        for (int j = 0; j < OWN; j++) {
          T* to = result + (t * 16 + q * 4 + c) * KB + g * OWN + j;
          *to = first ? sums[t][c][j] : *to + sums[t][c][j];
        }
    }
  }
};

// dy of a tile's pixels -> words [pixel][KB + 8]; zero for a pixel that does not exist, which so adds nothing.
template <class P, int KB, bool QUADS>
__device__ __forceinline__ void load_errors(typename P::Word* words, const typename P::T* dy, const int* places,
                                            int pixels, int filters, int columns) {
  using T = typename P::T;
  constexpr int AT_ONCE = QUADS ? 4 : 1;
  const int all = pixels * (KB / 4);
#pragma unroll 1
  for (int i = threadIdx.x; i < all; i += AT_ONCE * blockDim.x) {
    T v[AT_ONCE][4] = {};
#pragma unroll
    for (int e = 0; e < AT_ONCE; e++) {
      const int item = i + e * blockDim.x, column = item % (KB / 4) * 4, place = item < all ? places[item / (KB / 4)] : -1;
      if (place >= 0) read_some<QUADS>(v[e], dy + int64_t(place) * filters + column, columns - column);
    }
#pragma unroll
    for (int e = 0; e < AT_ONCE; e++) {
      const int item = i + e * blockDim.x;
      if (item < all) P::Apart::put(words + item / (KB / 4) * (KB + 8) + item % (KB / 4) * 4, v[e]);
    }
  }
}

// x [images, in_h, in_w, groups * depth], dy [images, out_h, out_w, groups * width];
// partial [gridDim.x][filter_h, filter_w, depth, groups * width]. `pixels`, a multiple of P::STEP, hold a tile.
template <class P, int KB>
__global__ void __launch_bounds__(256, sizeof(typename P::T) == 4 ? 2 : 1)
conv_weight(const typename P::T* __restrict__ x, const typename P::T* __restrict__ dy,
            typename P::T* __restrict__ partial, int images, int in_h, int in_w, int out_h, int out_w, int depth,
            int width, int groups, int filter_h, int filter_w, int stride, int top, int left, int tile_images,
            int tile_rows, int tile_columns, int tap_h, int tap_w, int tap_warps, int pixels) {
  using T = typename P::T;
  using Word = typename P::Word;
  const Axis h = forward_axis(out_h, filter_h, stride, top), v = forward_axis(out_w, filter_w, stride, left);
  const Reach high(tile_rows, stride, tap_h), wide(tile_columns, stride, tap_w);
  const int chunks = (width + KB - 1) / KB, depths = (depth + 15) / 16;
  const int filter = blockIdx.y % chunks * KB, channel = blockIdx.y / chunks % depths * 16;
  const int group = blockIdx.y / chunks / depths, filters = groups * width;
  const int across = (filter_w + tap_w - 1) / tap_w, r0 = blockIdx.z / across * tap_h, s0 = blockIdx.z % across * tap_w;
  const int rows = min(tap_h, filter_h - r0), columns = min(tap_w, filter_w - s0), taps = rows * columns;

  SHARED(int, offsets);
  int* places = offsets + pixels;
  Word* inputs = reinterpret_cast<Word*>(places + pixels);
  Word* errors = inputs + tile_images * high.size * wide.size * PITCH;
  T* result = reinterpret_cast<T*>(places + pixels);

  const int warp = threadIdx.x / WARP, pixel_warp = warp / tap_warps, pixel_warps = blockDim.x / WARP / tap_warps;
  const int tap = warp % tap_warps * TAPS, own = taps - tap;
  int windows[TAPS];
#pragma unroll
  for (int t = 0; t < TAPS; t++) {
    const int each = min(tap + t, taps - 1);
    windows[t] = (each / columns * wide.size + each % columns) * PITCH;
  }
  WeightProduct<P, KB> product;
  product.begin();
  const bool x_quads = in_quads(x, groups * depth, depth), y_quads = in_quads(dy, filters, width);
  const int tiles = (images + tile_images - 1) / tile_images * ((out_h + tile_rows - 1) / tile_rows) *
                    ((out_w + tile_columns - 1) / tile_columns);
  for (int number = blockIdx.x; number < tiles; number += gridDim.x) {
    const Tile tile(tile_images, tile_rows, tile_columns, number, out_h, out_w);
    __syncthreads();  // the tile before this one is no longer read
    pixel_tables(offsets, places, pixels, tile, h, v, high, wide, PITCH, images, out_h, out_w);
    const int begin_row = tile.row * stride - top + r0, begin_column = tile.column * stride - left + s0;
    if (x_quads)
      load_pixels<typename P::Apart, true>(inputs, PITCH, x, images, in_h, in_w, groups * depth, tile, begin_row,
                                           begin_column, high, wide, group * depth + channel, 16, depth - channel);
    else
      load_pixels<typename P::Apart, false>(inputs, PITCH, x, images, in_h, in_w, groups * depth, tile, begin_row,
                                            begin_column, high, wide, group * depth + channel, 16, depth - channel);
    __syncthreads();  // the places are known
    if (y_quads)
      load_errors<P, KB, true>(errors, dy + group * width + filter, places, pixels, filters, width - filter);
    else
      load_errors<P, KB, false>(errors, dy + group * width + filter, places, pixels, filters, width - filter);
    __syncthreads();  // pixels and errors are there
    for (int p = pixel_warp * P::STEP; p < pixels; p += pixel_warps * P::STEP)
      product.add(inputs, errors + p * (KB + 8), offsets + p, windows, own);
  }

  for (int turn = 0; turn < pixel_warps; turn++) {
    __syncthreads();  // the result takes the place of the inputs; the warps of the same taps add in their order
    if (turn == pixel_warp) product.write(result + tap * 16 * KB, own, turn == 0);
  }
  __syncthreads();  // the sum over all warps is there
  partial += int64_t(blockIdx.x) * filter_h * filter_w * depth * filters;
  for (int i = threadIdx.x; i < taps * 16 * KB; i += blockDim.x) {
    const int f = filter + i % KB, c = channel + i / KB % 16, each = i / KB / 16;
    const int64_t place = (r0 + each / columns) * filter_w + s0 + each % columns;
    if (f < width && c < depth) partial[(place * depth + c) * filters + group * width + f] = result[i];
  }
}

// out[i] = sum over the parts of partial[part][i]: 32 values by 8 slices of the parts a block.
template <typename T>
__global__ void __launch_bounds__(256) sum_parts(const T* __restrict__ partial, T* __restrict__ out, int parts, int size) {
  SHARED(T, scratch);
  const int lane = threadIdx.x % 32, slice = threadIdx.x / 32, i = blockIdx.x * 32 + lane;
  T sum = T(0);
  for (int part = slice; part < parts && i < size; part += AHEAD * 8) {
    T v[AHEAD];
#pragma unroll
    for (int e = 0; e < AHEAD; e++)
      v[e] = part + e * 8 < parts ? __ldcg(partial + int64_t(part + e * 8) * size + i) : T(0);
#pragma unroll
    for (int e = 0; e < AHEAD; e++) sum += v[e];
  }
  scratch[threadIdx.x] = sum;
  __syncthreads();  // all slices are there
  if (slice > 0 || i >= size) return;
  for (int other = 1; other < 8; other++) sum += scratch[other * 32 + lane];
  out[i] = sum;
}
