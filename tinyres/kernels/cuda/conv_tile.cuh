// From memory to shared memory: the pixels that a tile needs, and the filters. What lies outside the image, or beyond
// the last channel, becomes zero, so that the products need no guards.
//
// QUADS: channels are read four at a time, 16 bytes, and several such reads are on their way at once, because memory
// answers after hundreds of cycles. It wants channels (of a group, too) in multiples of four and an aligned array; what
// has three channels, or begins anywhere, is read one by one.
// Not yet run on a GPU.
#include "conv_geometry.cuh"
#include "conv_precision.cuh"

template <typename T>
__device__ __forceinline__ bool in_quads(const T* array, int channels, int of_group) {
  return channels % 4 == 0 && of_group % 4 == 0 && aligned(array);
}

// Four neighbours, `count` of which exist; the others are zero.
template <bool QUADS, typename T>
__device__ __forceinline__ void read_some(T v[4], const T* from, int count) {
  if constexpr (QUADS) {
    if (count >= 4) read4(v, from);
  } else {
#pragma unroll
    for (int i = 0; i < 4; i++)
      if (i < count) v[i] = from[i];
  }
}

// x[image.., row.., column.., channel..] -> words [image][high][wide][pitch]; a thread keeps to one quad of channels,
// so that neighbouring threads read neighbouring channels. `left` channels of the chunk exist.
template <class P, bool QUADS>
__device__ __forceinline__ void load_pixels(typename P::Word* words, int pitch, const typename P::T* x, int images,
                                            int in_h, int in_w, int channels, const Tile& tile, int top, int edge,
                                            const Reach& high, const Reach& wide, int channel, int chunk, int left) {
  using T = typename P::T;
  constexpr int AT_ONCE = QUADS ? 4 : 1;
  const int quads = chunk / 4, quad = threadIdx.x % quads * 4, jump = blockDim.x / quads;
  const int first = threadIdx.x / quads, all = tile.images * high.size * wide.size;
  Walk at(first, jump, high.size, wide.size);
#pragma unroll 1
  for (int position = first; position < all; position += AT_ONCE * jump) {
    T v[AT_ONCE][4] = {};
#pragma unroll
    for (int e = 0; e < AT_ONCE; e++, at.advance()) {
      const int n = tile.image + at.image, i = top + high.source(at.row), j = edge + wide.source(at.column);
      if ((at.image < tile.images) & (n < images) & (unsigned(i) < unsigned(in_h)) & (unsigned(j) < unsigned(in_w)))
        read_some<QUADS>(v[e], x + (int64_t(n * in_h + i) * in_w + j) * channels + channel + quad, left - quad);
    }
#pragma unroll
    for (int e = 0; e < AT_ONCE; e++)
      if (position + e * jump < all) P::put(words + (position + e * jump) * pitch + quad / P::PACK, v[e]);
  }
}

// A rectangle of taps of w[R,S,C/groups,F]: begin, rows and columns, as the axes number them.
struct Taps {
  const Axis &h, &v;
  int filter_w, r0, s0, rows, columns;
  __device__ __forceinline__ int64_t place(int row, int column) const {
    return (h.row + (r0 + row) * h.row_step) * filter_w + v.row + (s0 + column) * v.row_step;
  }
};

// Filters for the forward pass: channels are summed over (`channel`.., `left` exist), filters are the columns
// (`begin`.., `columns` exist) -> words [tap][chunk / PACK][KB + 8].
template <class P, int KB, bool QUADS>
__device__ __forceinline__ void load_filters(typename P::Word* words, const typename P::T* w, const Taps& taps,
                                             int depth, int filters, int channel, int chunk, int left, int begin,
                                             int columns) {
  using T = typename P::T;
  constexpr int AT_ONCE = QUADS ? 4 / P::PACK : 1;
  const int rows = chunk / P::PACK, of_tap = rows * (KB / 4), all = taps.rows * taps.columns * of_tap;
  Walk at(threadIdx.x, blockDim.x, taps.columns, of_tap);
#pragma unroll 1
  for (int i = threadIdx.x; i < all; i += AT_ONCE * blockDim.x) {
    T v[AT_ONCE][P::PACK][4] = {};
    int to[AT_ONCE];
#pragma unroll
    for (int e = 0; e < AT_ONCE; e++, at.advance()) {
      const int column = at.column % (KB / 4) * 4, row = at.column / (KB / 4);
      const T* from = w + (taps.place(at.image, at.row) * depth + channel + row * P::PACK) * filters + begin + column;
      to[e] = ((at.image * taps.columns + at.row) * rows + row) * (KB + 8) + column;
#pragma unroll
      for (int c = 0; c < P::PACK; c++)
        if ((at.image < taps.rows) & (row * P::PACK + c < left))
          read_some<QUADS>(v[e][c], from + int64_t(c) * filters, columns - column);
    }
#pragma unroll
    for (int e = 0; e < AT_ONCE; e++) {
      typename P::Word four[4];
#pragma unroll
      for (int f = 0; f < 4; f++) four[f] = P::pack(v[e][0][f], v[e][P::PACK - 1][f]);
      if (i + e * blockDim.x < all) write4(words + to[e], four);
    }
  }
}

// The same for the gradient: filters are summed over, channels are the columns.
template <class P, int KB, bool QUADS>
__device__ __forceinline__ void load_filters_turned(typename P::Word* words, const typename P::T* w, const Taps& taps,
                                                    int depth, int filters, int channel, int chunk, int left, int begin,
                                                    int columns) {
  using T = typename P::T;
  constexpr int AT_ONCE = QUADS ? 4 : 1;
  const int quads = chunk / 4, of_tap = quads * KB, all = taps.rows * taps.columns * of_tap;
  Walk at(threadIdx.x, blockDim.x, taps.columns, of_tap);
#pragma unroll 1
  for (int i = threadIdx.x; i < all; i += AT_ONCE * blockDim.x) {
    T v[AT_ONCE][4] = {};
    int to[AT_ONCE];
#pragma unroll
    for (int e = 0; e < AT_ONCE; e++, at.advance()) {
      const int row = at.column % quads * 4, column = at.column / quads;
      to[e] = ((at.image * taps.columns + at.row) * (chunk / P::PACK) + row / P::PACK) * (KB + 8) + column;
      if ((at.image < taps.rows) & (column < columns))
        read_some<QUADS>(v[e], w + (taps.place(at.image, at.row) * depth + begin + column) * filters + channel + row,
                         left - row);
    }
#pragma unroll
    for (int e = 0; e < AT_ONCE; e++)
#pragma unroll
      for (int c = 0; c < 4; c += P::PACK)
        if (i + e * blockDim.x < all)
          words[to[e] + c / P::PACK * (KB + 8)] = P::pack(v[e][c], v[e][c + P::PACK - 1]);
  }
}
