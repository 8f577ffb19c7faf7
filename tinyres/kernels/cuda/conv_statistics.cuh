// Mean and biased variance of each filter's outputs, while the tile is still in shared memory.
//
// A variance from sums of squares would lose everything where the mean is large. So each block takes the mean of its
// tile first, then the squares around it (M2), both from differences; and the last block to finish joins the blocks'
// (count, mean, M2) as Chan, Golub and LeVeque do (1979): the variance within the blocks and the one between them.
// Who is last differs from run to run; what it adds, and in which order, does not.
#include "common.cuh"

// Sum the threads' values of each column, in the order of the slices; every thread of the column gets it.
template <int KB, int THREADS, typename T>
__device__ __forceinline__ T over_slices(T value, T* scratch) {
  __syncthreads();  // whoever still reads the last sum
  scratch[threadIdx.x] = value;
  __syncthreads();
  T total = T(0);
#pragma unroll
  for (int slice = 0; slice < THREADS / KB; slice++) total += scratch[slice * KB + threadIdx.x % KB];
  return total;
}

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
  __threadfence();  // what this block wrote is seen before its number counts
  __syncthreads();
  if (threadIdx.x == 0) *last = atomicAdd(finished + blockIdx.y, 1) == blocks - 1;
  __syncthreads();
  if (!*last) return;
  __threadfence();
  const volatile T* all = own + column;
  const T start = all[KB];
  Sum<T> shift, total;
  for (int b = slice; b < blocks; b += SLICES) {
    const volatile T* from = all + int64_t(b) * 3 * KB;
    total.add(from[0]);
    shift.add(from[0] * (from[KB] - start));
  }
  const T everything = over_slices<KB, THREADS>(total.total, scratch);
  const T joined = start + over_slices<KB, THREADS>(shift.total, scratch) / everything;
  Sum<T> squares;
  for (int b = slice; b < blocks; b += SLICES) {
    const volatile T* from = all + int64_t(b) * 3 * KB;
    const T d = from[KB] - joined;
    squares.add(from[2 * KB] + from[0] * d * d);
  }
  const T within = over_slices<KB, THREADS>(squares.total, scratch);
  if (slice == 0 && column < columns) {
    mean[column] = joined;
    variance[column] = within / everything;
  }
  if (threadIdx.x == 0) finished[blockIdx.y] = 0;  // ready for the next launch, also of the same graph
}
