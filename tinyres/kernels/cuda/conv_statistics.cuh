// Mean and biased variance of each filter's outputs, while the tile is still in shared memory.
//
// A variance from sums of squares would lose everything where the mean is large. So each block takes the mean of its
// tile first, then the squares around it (M2), both from differences; and the last block to finish joins the blocks'
// (count, mean, M2) as Chan, Golub and LeVeque do (1979): the squares within the blocks and those between them.
// Who is last differs from run to run; what it adds, and in which order, does not.
// Not yet run on a GPU.
#include "common.cuh"

// Sum the threads' values of each column, in the order of the slices; every thread of the column gets it.
template <int KB, int THREADS, typename T>
__device__ __forceinline__ T over_slices(T value, T* scratch) {
  __syncthreads();  // whoever still reads the last sum
  scratch[threadIdx.x] = value;
  __syncthreads();  // all slices are there
  T total = T(0);
#pragma unroll
  for (int slice = 0; slice < THREADS / KB; slice++) total += scratch[slice * KB + threadIdx.x % KB];
  return total;
}

// The last block reads the parts of all the others from the L2, which answers after hundreds of cycles: it asks for as
// many as this at a time.
#define AHEAD 16

// tile [pixels][KB + 4], pixels where places >= 0; partial [column of blocks][block][count, mean, M2][KB].
// `finished` counts the blocks of a column of blocks, and is zero before and after. `columns` filters exist.
template <int KB, int THREADS, typename T>
__device__ __forceinline__ void statistics(const T* tile, const int* places, int pixels, T* scratch, int* last,
                                           T* partial, int* finished, T* mean, T* variance, int columns) {
  const int column = threadIdx.x % KB, slice = threadIdx.x / KB;
  constexpr int SLICES = THREADS / KB;
  const T first = tile[column];  // differences from the first pixel, which always exists
  T sum = T(0), number = T(0);
  for (int p = slice; p < pixels; p += SLICES)
    if (places[p] >= 0) sum += tile[p * (KB + 4) + column] - first, number += T(1);
  const T count = over_slices<KB, THREADS>(number, scratch);
  const T middle = first + over_slices<KB, THREADS>(sum, scratch) / count;
  T square = T(0);
  for (int p = slice; p < pixels; p += SLICES) {
    const T d = tile[p * (KB + 4) + column] - middle;
    if (places[p] >= 0) square += d * d;
  }
  square = over_slices<KB, THREADS>(square, scratch);
  const int blocks = gridDim.x;
  T* own = partial + int64_t(blockIdx.y) * blocks * 3 * KB;
  if (slice == 0) {
    T* to = own + int64_t(blockIdx.x) * 3 * KB + column;
    to[0] = count, to[KB] = middle, to[2 * KB] = square;
  }
  __threadfence();  // what this thread wrote is seen before its block counts
  __syncthreads();  // and what all of its threads wrote
  if (threadIdx.x == 0) *last = atomicAdd(finished + blockIdx.y, 1) == blocks - 1;
  __syncthreads();  // all threads know whether this block is the last
  if (!*last) return;
  const T* all = own + column;
  const T start = __ldcg(all + KB);  // the first block's mean: what differs from it is of the size of the deviation
  Sum<T> number_of, shift, squares;
  for (int b = slice; b < blocks; b += AHEAD * SLICES) {
    T n[AHEAD], difference[AHEAD], within[AHEAD];
#pragma unroll
    for (int e = 0; e < AHEAD; e++) {
      const bool exists = b + e * SLICES < blocks;
      const T* from = all + int64_t(exists ? b + e * SLICES : b) * 3 * KB;
      n[e] = exists ? __ldcg(from) : T(0);
      difference[e] = __ldcg(from + KB) - start;
      within[e] = exists ? __ldcg(from + 2 * KB) : T(0);
    }
#pragma unroll
    for (int e = 0; e < AHEAD; e++) {
      number_of.add(n[e]);
      shift.add(n[e] * difference[e]);
      squares.add(within[e] + n[e] * difference[e] * difference[e]);
    }
  }
  const T everything = over_slices<KB, THREADS>(number_of.total, scratch);
  const T shifted = over_slices<KB, THREADS>(shift.total, scratch) / everything;
  const T around_start = over_slices<KB, THREADS>(squares.total, scratch) / everything;
  if (slice == 0 && column < columns) {
    mean[column] = start + shifted;
    const T between = around_start - shifted * shifted;
    variance[column] = between < T(0) ? T(0) : between;  // rounding, where all values are the same; a NaN stays one
  }
  if (threadIdx.x == 0) finished[blockIdx.y] = 0;  // ready for the next launch, also of the same graph
}
