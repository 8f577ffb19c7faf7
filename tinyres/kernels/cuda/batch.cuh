// A batch out of the stored images: gather, scale, subtract the mean image, pad with zeros, crop, mirror.
//
//   augment      image index[n], cropped at (top[n], left[n]), mirrored if flip[n]
//   next_batch   the batch of step at[0], with the words of kernels/streams.py: the same bits as on the CPU
//
// A block an image; neighbouring threads write neighbouring values. Products and differences are rounded one by one,
// never fused, as on the CPU. Bytes at n values of the result of size s: n (1 + s), and the mean from the cache.
// Not yet run on a GPU.
#include "philox.cuh"

#define AUGMENT 1u  // the stream of augmentation

__device__ __forceinline__ float rounded(float pixel, float scale, float mean) {
  return __fsub_rn(__fmul_rn(pixel, scale), mean);
}
__device__ __forceinline__ double rounded(double pixel, double scale, double mean) {
  return __dsub_rn(__dmul_rn(pixel, scale), mean);
}

template <typename T>
__device__ void paint(const uint8_t* __restrict__ image, const T* __restrict__ mean, T* __restrict__ to, int h, int w,
                      int c, int64_t top, int64_t left, bool flip, int padding, T scale) {
  for (int place = threadIdx.x; place < h * w * c; place += blockDim.x) {
    const int channel = place % c, j = place / c % w, i = place / c / w;
    const int64_t row = i + top - padding, column = (flip ? w - 1 - j : j) + left - padding;
    const bool inside = row >= 0 && row < h && column >= 0 && column < w;
    const int64_t from = (row * w + column) * c + channel;
    to[place] = inside ? rounded(T(image[from]), scale, mean[from]) : T(0);
  }
}

template <typename T>
__global__ void __launch_bounds__(256)
    augment(const uint8_t* images, const int64_t* index, const T* mean, const int64_t* top, const int64_t* left,
            const bool* flip, T* out, int h, int w, int c, int padding, T scale) {
  const int64_t n = blockIdx.x, size = int64_t(h) * w * c;
  paint(images + index[n] * size, mean, out + n * size, h, w, c, top[n], left[n], flip[n], padding, scale);
}

template <typename T>
__global__ void __launch_bounds__(256)
    next_batch(const uint8_t* images, const int64_t* labels, const int64_t* order, const T* mean, const int64_t* at,
               T* out, int64_t* out_labels, int64_t images_count, int h, int w, int c, int batch, int per_epoch,
               uint32_t key_low, uint32_t key_high, int padding, int flip, T scale) {
  const int64_t n = blockIdx.x, size = int64_t(h) * w * c, step = at[0], epoch = step / per_epoch;
  int64_t position = step % per_epoch * batch + n;
  if (position >= images_count) position = images_count - 1;
  const int64_t index = order[epoch % 2 * images_count + position];
  const Words words = philox(uint32_t(position), uint32_t(epoch), AUGMENT, 0, key_low, key_high);
  const uint32_t offsets = 2 * padding + 1;
  paint(images + index * size, mean, out + n * size, h, w, c, __umulhi(words.word[0], offsets),
        __umulhi(words.word[1], offsets), flip && words.word[2] >> 31, padding, scale);
  if (threadIdx.x == 0) out_labels[n] = labels[index];
}
