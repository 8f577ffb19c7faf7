// Softmax cross-entropy of logits [N, K], and what a step writes down. A warp a row.
//
//   loss            mean over n of log(sum_k exp z[n,k]) - z[n,label],   z = logits less their row's maximum
//   loss_gradient   dloss * (softmax - one-hot) / N
//   log_step        losses[at % L] = loss,  wrong[at % L] = rows whose largest logit is not the label's,  at += 1;
//                   the first of equal logits counts, and a NaN as larger than any number
//
// loss and log_step are one block each: its rows are few, and its sum has one order. A label that is no class makes the
// loss NaN and reads nothing. Bytes at n values of size s: n s, the gradient 2 n s. Not yet run on a GPU.
#include "common.cuh"

template <typename T>
struct Row {  // the largest of a row's logits, and the sum of exp(logit - largest); every lane has both
  T largest, sum;
  __device__ __forceinline__ Row(const T* logits, int classes) : largest(logits[0]), sum(T(0)) {
    const int lane = threadIdx.x % WARP;
    for (int k = lane; k < classes; k += WARP) largest = logits[k] > largest ? logits[k] : largest;
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) {
      const T other = __shfl_xor_sync(ALL_LANES, largest, step);
      largest = other > largest ? other : largest;
    }
    for (int k = lane; k < classes; k += WARP) sum += exp(logits[k] - largest);
    sum = warp_sum(sum);
  }
};

template <typename T>
__global__ void __launch_bounds__(1024, 1)
    loss(const T* __restrict__ logits, const int64_t* __restrict__ labels, T* out, int rows, int classes) {
  SHARED(double, scratch);
  const int warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
  double total = 0;
  for (int n = warp; n < rows; n += warps) {
    const T* own = logits + int64_t(n) * classes;
    const Row<T> row(own, classes);
    const int64_t label = labels[n];
    total += label >= 0 && label < classes ? log(row.sum) - (own[label] - row.largest) : T(0) / T(0);
  }
  total = block_sum(threadIdx.x % WARP ? 0.0 : total, scratch);
  if (threadIdx.x == 0) *out = T(total / rows);
}

template <typename T>
__global__ void __launch_bounds__(256)
    loss_gradient(const T* dloss, const T* __restrict__ logits, const int64_t* __restrict__ labels, T* __restrict__ out,
                  int rows, int classes) {
  const int n = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
  if (n >= rows) return;  // a whole warp
  const T* own = logits + int64_t(n) * classes;
  const Row<T> row(own, classes);
  const T scale = *dloss / T(rows);
  for (int k = threadIdx.x % WARP; k < classes; k += WARP)
    out[int64_t(n) * classes + k] = scale * (exp(own[k] - row.largest) / row.sum - T(k == labels[n]));
}

template <typename T>
__global__ void __launch_bounds__(1024, 1)
    log_step(const T* loss, const T* __restrict__ logits, const int64_t* __restrict__ labels, const int64_t* at,
             T* losses, int64_t* wrong, int64_t* next, int rows, int classes, int64_t length) {
  SHARED(int, scratch);
  const int lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
  int count = 0;
  for (int n = threadIdx.x / WARP; n < rows; n += warps) {
    const T* own = logits + int64_t(n) * classes;
    int best = lane < classes ? lane : 0;
    T value = own[best];
    for (int k = lane + WARP; k < classes; k += WARP)
      if (own[k] > value || (own[k] != own[k] && value == value)) best = k, value = own[k];
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) {
      const int other = __shfl_xor_sync(ALL_LANES, best, step);
      const T theirs = __shfl_xor_sync(ALL_LANES, value, step);
      const bool nan = value != value, their_nan = theirs != theirs;
      const bool equal = theirs == value || (nan && their_nan);
      if (equal ? other < best : their_nan || (!nan && theirs > value)) best = other, value = theirs;
    }
    count += best != labels[n];
  }
  count = block_sum(lane ? 0 : count, scratch);
  if (threadIdx.x) return;
  const int64_t step = *at;
  losses[step % length] = *loss;
  wrong[step % length] = count;
  *next = step + 1;
}
