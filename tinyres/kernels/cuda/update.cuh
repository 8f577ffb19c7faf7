// The update of stochastic gradient descent over one flat buffer, and that of the running averages of a batch norm.
//
//   sgd                g' = g + weight_decay w;  v' = momentum v + g';  w' = w - lr v', or w - lr (g' + momentum v')
//                      after Nesterov. The results may be w and v themselves. The rate is read from memory where a
//                      pointer to it is given: a captured step is replayed with another one.
//   running_averages   (1 - momentum) running + momentum batch, the variance times `scale`
//
// Bytes at n values of size s: sgd 5 n s. Not yet run on a GPU.
#include "common.cuh"

template <typename T>
__global__ void __launch_bounds__(256) sgd(const T* w, const T* v, const T* g, const T* rate, T lr, T momentum,
                                           T weight_decay, int nesterov, T* new_w, T* new_v, int64_t count,
                                           int aligned) {
  const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, threads = int64_t(gridDim.x) * blockDim.x;
  const int64_t fours = aligned ? count / 4 : 0;
  const T lr_now = rate ? *rate : lr;
  auto update = [&](T& weight, T& velocity, T gradient) {
    gradient += weight_decay * weight;
    velocity = momentum * velocity + gradient;
    weight -= lr_now * (nesterov ? gradient + momentum * velocity : velocity);
  };
  for (int64_t i = thread; i < fours; i += threads) {
    T weights[4], velocities[4], gradients[4];
    read4(weights, w + 4 * i);
    read4(velocities, v + 4 * i);
    read4(gradients, g + 4 * i);
#pragma unroll
    for (int k = 0; k < 4; k++) update(weights[k], velocities[k], gradients[k]);
    write4(new_w + 4 * i, weights);
    write4(new_v + 4 * i, velocities);
  }
  for (int64_t i = 4 * fours + thread; i < count; i += threads) {
    T weight = w[i], velocity = v[i];
    update(weight, velocity, g[i]);
    new_w[i] = weight;
    new_v[i] = velocity;
  }
}

template <typename T>
__global__ void __launch_bounds__(256)
    running_averages(const T* running_mean, const T* running_var, const T* __restrict__ mean,
                     const T* __restrict__ variance, T momentum, T scale, T* new_mean, T* new_var, int channels) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  new_mean[c] = (T(1) - momentum) * running_mean[c] + momentum * mean[c];
  new_var[c] = (T(1) - momentum) * running_var[c] + momentum * scale * variance[c];
}
