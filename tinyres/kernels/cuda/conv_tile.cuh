// From memory to shared memory: the pixels that a tile needs, and the filters. What lies outside the image, or beyond
// the last channel, becomes zero, so that the products need no guards.
#include "conv_geometry.cuh"
#include "conv_precision.cuh"

// Up to four neighbours, `count` of which exist; at once where the array allows it everywhere.
template <typename T>
__device__ __forceinline__ void read_some(T v[4], const T* from, int count, bool at_once) {
  if (at_once && count >= 4) return read4(v, from);
#pragma unroll
  for (int i = 0; i < 4; i++) v[i] = i < count ? from[i] : T(0);
}

// Whether quads of channels can be read at once: groups and rows begin at multiples of four.
template <typename T>
__device__ __forceinline__ bool in_quads(const T* array, int channels, int of_group) {
  return channels % 4 == 0 && of_group % 4 == 0 && aligned(array);
}

// x[image.., row.., column.., channel..] -> words [image][high][wide][pitch]; a thread keeps to one quad of channels,
// so that neighbouring threads read neighbouring channels. `left` channels of the chunk exist.
template <class P>
__device__ __forceinline__ void load_pixels(typename P::Word* words, int pitch, const typename P::T* x, int images,
                                            int in_h, int in_w, int channels, const Tile& tile, int top, int left_edge,
                                            const Reach& high, const Reach& wide, int channel, int chunk, int left,
                                            bool at_once) {
  using T = typename P::T;
  const int quads = chunk / 4, quad = threadIdx.x % quads * 4, jump = blockDim.x / quads;
  const int first = threadIdx.x / quads, all = tile.images * high.size * wide.size;
  Walk at(first, jump, high.size, wide.size);
  for (int position = first; position < all; position += jump, at.advance()) {
    const int n = tile.image + at.image, i = top + high.source(at.row), j = left_edge + wide.source(at.column);
    T v[4] = {T(0), T(0), T(0), T(0)};
    if (n < images && i >= 0 && i < in_h && j >= 0 && j < in_w)
      read_some(v, x + (int64_t(n * in_h + i) * in_w + j) * channels + channel + quad, left - quad, at_once);
    P::put(words + position * pitch + quad / P::PACK, v);
  }
}

// One tap of w[R,S,C,F], forward: channels are summed over, filters are the columns. `rows` and `columns` of them exist.
template <class P, int KB>
__device__ __forceinline__ void load_filters(typename P::Word* words, const typename P::T* w, int filters, int chunk,
                                             int rows, int columns, bool at_once) {
  using T = typename P::T;
  for (int i = threadIdx.x; i < chunk / P::PACK * (KB / 4); i += blockDim.x) {
    const int column = i % (KB / 4) * 4, row = i / (KB / 4) * P::PACK;
    T v[2][4] = {{T(0), T(0), T(0), T(0)}, {T(0), T(0), T(0), T(0)}};
#pragma unroll
    for (int e = 0; e < P::PACK; e++)
      if (row + e < rows) read_some(v[e], w + int64_t(row + e) * filters + column, columns - column, at_once);
    typename P::Word four[4];
#pragma unroll
    for (int e = 0; e < 4; e++) four[e] = P::pack(v[0][e], v[1][e]);
    write4(words + row / P::PACK * (KB + 8) + column, four);
  }
}

// One tap for the gradient: filters are summed over, channels are the columns.
template <class P, int KB>
__device__ __forceinline__ void load_filters_turned(typename P::Word* words, const typename P::T* w, int filters,
                                                    int chunk, int rows, int columns, bool at_once) {
  using T = typename P::T;
  const int quads = chunk / 4;
  for (int i = threadIdx.x; i < quads * KB; i += blockDim.x) {
    const int row = i % quads * 4, column = i / quads;
    T v[4] = {T(0), T(0), T(0), T(0)};
    if (column < columns) read_some(v, w + int64_t(column) * filters + row, rows - row, at_once);
#pragma unroll
    for (int e = 0; e < 4; e += P::PACK)
      words[(row + e) / P::PACK * (KB + 8) + column] = P::pack(v[e], v[e + P::PACK - 1]);
  }
}
