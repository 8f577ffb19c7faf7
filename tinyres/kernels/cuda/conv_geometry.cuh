// Where a convolution reads and writes: one description for the forward pass and for the gradient of its input.
//
// Both are correlations. Along each axis, for every index a < count, summed over the taps t < taps:
//
//   out[place + a * place_step] += in[origin + a * step + t] * filter[row + t * row_step]
//
//   forward   every index of y in its place, the input `stride` apart, the window beginning `before` the image.
//   gradient  x[h] was read by y[i] through the filter's row r where h = i * stride + r - before. So the indices h for
//             which (h + before) % stride is the same have the same rows of the filter: r = phase, phase + stride, ...
//             With stride 2 there are two phases an axis, four in all, each a correlation of stride 1 with some of the
//             filter's rows in reversed order. A phase without any row (1x1, stride 2) gives a gradient of zero.
//
// A block computes a tile of pixels. The input that they need together (the tile and a halo) lies in shared memory, and
// a pixel's window begins at its offset there. Where windows do not touch (step > taps) the rows between them are not
// loaded. A filter that is too large is taken in rectangles of taps, a deep input in chunks of channels.
// Not yet run on a GPU.
#include "common.cuh"

struct Axis {
  int count, step, origin, taps, row, row_step, place, place_step;
};

__device__ __forceinline__ Axis forward_axis(int size, int taps, int stride, int before) {
  return {size, stride, -before, taps, 0, 1, 0, 1};
}

__device__ __forceinline__ Axis gradient_axis(int size, int taps, int stride, int before, int phase) {
  const int first = ((phase - before) % stride + stride) % stride;  // the first h of this phase
  const int own = taps > phase ? (taps - phase + stride - 1) / stride : 0;
  const int count = first < size ? (size - first + stride - 1) / stride : 0;
  const int newest = (first + before - phase) / stride;  // the y that h meets in the filter's row `phase`
  return {count, 1, newest - own + 1, own, phase + stride * (own - 1), -stride, first, stride};
}

// What a tile of `pixels` indices of an axis reads, `taps` of them at a time.
struct Reach {
  int step, hop, size;  // apart in the image, apart in shared memory, how many there
  __device__ __forceinline__ Reach(int pixels, int step, int taps)
      : step(step), hop(min(step, taps)), size((pixels - 1) * min(step, taps) + taps) {}
  __device__ __forceinline__ int source(int i) const { return hop == step ? i : i / hop * step + i % hop; }
};

// A tile of pixels: how many images, rows and columns, and the first of them.
struct Tile {
  int images, rows, columns, image, row, column;
  // The tile of a number; `high` and `wide` pixels are to be covered, columns first, then rows, then images.
  __device__ __forceinline__ Tile(int images, int rows, int columns, int number, int high, int wide)
      : images(images), rows(rows), columns(columns) {
    const int across = (wide + columns - 1) / columns, down = (high + rows - 1) / rows;
    column = number % across * columns;
    row = number / across % down * rows;
    image = number / across / down * images;
  }
};

// For each pixel of a tile its offset in shared memory, and its place in the result as a number of a pixel; -1 for one
// that does not exist, at an edge or beyond the tile.
__device__ __forceinline__ void pixel_tables(int* offsets, int* places, int pixels, const Tile& tile, const Axis& h,
                                             const Axis& w, const Reach& high, const Reach& wide, int pitch, int images,
                                             int out_h, int out_w) {
  for (int p = threadIdx.x; p < pixels; p += blockDim.x) {
    const int column = p % tile.columns, row = p / tile.columns % tile.rows, image = p / (tile.columns * tile.rows);
    const int n = tile.image + image, i = tile.row + row, j = tile.column + column;
    const bool exists = image < tile.images && n < images && i < h.count && j < w.count;
    offsets[p] = exists ? ((image * high.size + row * high.hop) * wide.size + column * wide.hop) * pitch : 0;
    places[p] = exists ? (n * out_h + h.place + i * h.place_step) * out_w + w.place + j * w.place_step : -1;
  }
}

// Counts through (image, row, column) in steps, without a division a step.
struct Walk {
  int image, row, column, images, rows, columns, high, wide;
  __device__ __forceinline__ Walk(int first, int jump, int high, int wide) : high(high), wide(wide) {
    column = first % wide, row = first / wide % high, image = first / wide / high;
    columns = jump % wide, rows = jump / wide % high, images = jump / wide / high;
  }
  __device__ __forceinline__ void advance() {
    column += columns, row += rows, image += images;
    if (column >= wide) column -= wide, row++;
    if (row >= high) row -= high, image++;
  }
};
