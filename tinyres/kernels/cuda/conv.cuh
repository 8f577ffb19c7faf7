// Convolution as an implicit matrix product: forward, and the gradient of its input. Not yet run on a GPU.
//
//   out[pixel, filter] = sum over taps and channels of in[window of the pixel, channel] * w[tap, channel, filter]
//
// That is im2col and a matrix product, without the column matrix: the input of a tile of pixels is read into shared
// memory once, and each tap's row of the column matrix is a view of it, begun elsewhere.
//
//   grid    x: tiles of pixels    y: groups * chunks of KB filters    z: phases of the gradient (1 forward)
//   block   4 warps, 64 * MT pixels by KB filters
//   shared  offsets, places [64 * MT] int, then pixels [..][chunk / PACK + 4] and filters [taps][chunk / PACK][KB + 8],
//           or, when all is summed up, the tile [64 * MT][KB + 4] and a value a thread
//
// ResNet-20, batch 128, 132 multiprocessors: 32x32, 16 channels: 512 blocks of 256 pixels x 16 filters, 41 KB of shared
// memory each; 16x16, 32 channels: 256 blocks of 128 x 32, 38 KB; 8x8, 64 channels: 256 blocks of 64 x 32, 31 KB. With
// at most 128 registers a thread four fit on a multiprocessor, so each layer is one wave, and while one block loads
// the others multiply. Estimated time of each: about that of reading and writing its arrays.
//
// Source of the idea: Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning", 2014, section 3.
#include "conv_product.cuh"
#include "conv_statistics.cuh"
#include "conv_tile.cuh"

// in [images, in_h, in_w, groups * depth], out [images, out_h, out_w, groups * width]; forward that is x -> y, for the
// gradient dy -> dx. w [filter_h, filter_w, C / groups, F]. With `mean` the statistics of out are taken too (forward).
template <class P, int KB, int MT>
__global__ void __launch_bounds__(128, sizeof(typename P::T) == 4 ? 4 : 2)
conv(const typename P::T* __restrict__ in, const typename P::T* __restrict__ w, typename P::T* __restrict__ out,
     typename P::T* mean, typename P::T* variance, typename P::T* partial, int* finished, int gradient, int images,
     int in_h, int in_w, int out_h, int out_w, int depth, int width, int groups, int filter_h, int filter_w, int stride,
     int top, int left, int tile_images, int tile_rows, int tile_columns, int tap_h, int tap_w, int chunk) {
  using T = typename P::T;
  using Word = typename P::Word;
  constexpr int PIXELS = 64 * MT, THREADS = 128;
  const int phase = blockIdx.z;
  const Axis h = gradient ? gradient_axis(out_h, filter_h, stride, top, phase / stride)
                          : forward_axis(out_h, filter_h, stride, top);
  const Axis v = gradient ? gradient_axis(out_w, filter_w, stride, left, phase % stride)
                          : forward_axis(out_w, filter_w, stride, left);
  const int most_h = gradient ? (out_h + stride - 1) / stride : out_h;
  const int most_w = gradient ? (out_w + stride - 1) / stride : out_w;
  const Tile tile(tile_images, tile_rows, tile_columns, blockIdx.x, most_h, most_w);
  if (tile.row >= h.count || tile.column >= v.count) return;  // this phase is smaller than the first
  const Reach high(tile_rows, h.step, tap_h), wide(tile_columns, v.step, tap_w);
  const int chunks = (width + KB - 1) / KB, group = blockIdx.y / chunks, begin = blockIdx.y % chunks * KB;
  const int words = chunk / P::PACK, pitch = words + 4;

  SHARED(int, offsets);
  int* places = offsets + PIXELS;
  Word* pixels = reinterpret_cast<Word*>(places + PIXELS);
  Word* filters = pixels + tile_images * high.size * wide.size * pitch;
  T* result = reinterpret_cast<T*>(places + PIXELS);

  pixel_tables(offsets, places, PIXELS, tile, h, v, high, wide, pitch, images, out_h, out_w);
  __syncthreads();  // the offsets are known
  Product<P, KB, MT> product;
  product.begin(offsets);

  const bool x_quads = in_quads(in, groups * depth, depth);
  const bool w_quads = in_quads(w, groups * (gradient ? depth : width), gradient ? depth : width);
  for (int channel = 0; channel < depth; channel += chunk)
    for (int r0 = 0; r0 < h.taps; r0 += tap_h)
      for (int s0 = 0; s0 < v.taps; s0 += tap_w) {
        const int rows = min(tap_h, h.taps - r0), columns = min(tap_w, v.taps - s0);
        __syncthreads();  // the tile before this one is no longer read
        const Taps taps{h, v, filter_w, r0, s0, rows, columns};
        const int begin_row = tile.row * h.step + h.origin + r0, begin_column = tile.column * v.step + v.origin + s0;
        const int left_over = depth - channel;
        if (x_quads)
          load_pixels<P, true>(pixels, pitch, in, images, in_h, in_w, groups * depth, tile, begin_row, begin_column,
                               high, wide, group * depth + channel, chunk, left_over);
        else
          load_pixels<P, false>(pixels, pitch, in, images, in_h, in_w, groups * depth, tile, begin_row, begin_column,
                                high, wide, group * depth + channel, chunk, left_over);
        if (gradient && w_quads)
          load_filters_turned<P, KB, true>(filters, w, taps, width, groups * depth, group * depth + channel, chunk,
                                           left_over, begin, width - begin);
        else if (gradient)
          load_filters_turned<P, KB, false>(filters, w, taps, width, groups * depth, group * depth + channel, chunk,
                                            left_over, begin, width - begin);
        else if (w_quads)
          load_filters<P, KB, true>(filters, w, taps, depth, groups * width, channel, chunk, left_over,
                                    group * width + begin, width - begin);
        else
          load_filters<P, KB, false>(filters, w, taps, depth, groups * width, channel, chunk, left_over,
                                     group * width + begin, width - begin);
        __syncthreads();  // pixels and filters are there
        for (int r = 0; r < rows; r++)
          for (int s = 0; s < columns; s++)
            product.add(pixels + (r * wide.size + s) * pitch, filters + (r * columns + s) * words * (KB + 8), words);
      }

  __syncthreads();  // the result takes the place of pixels and filters
  product.write(result);
  __syncthreads();  // the result is there
  const bool y_quads = in_quads(out, groups * width, width);
  for (int i = threadIdx.x; i < PIXELS * (KB / 4); i += THREADS) {
    const int p = i / (KB / 4), column = i % (KB / 4) * 4, left_over = width - begin - column;
    if (places[p] < 0) continue;
    const T* from = result + p * (KB + 4) + column;
    T* to = out + int64_t(places[p]) * groups * width + group * width + begin + column;
    if (y_quads && left_over >= 4) {
      write4(to, from);
    } else {
      for (int e = 0; e < min(4, left_over); e++) to[e] = from[e];
    }
  }
  if (mean != nullptr) {
    const int own = group * width + begin;
    statistics<KB, THREADS>(result, places, PIXELS, result + PIXELS * (KB + 4), offsets, partial, finished, mean + own,
                            variance + own, width - begin);
  }
}
