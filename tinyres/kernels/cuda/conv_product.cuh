// The products of one tap: pixels of the tile (rows) by filters (columns), summed over a chunk of channels.
//
//   x   words [...][pitch], a pixel's channels side by side; pitch = words a pixel + 4: eight pixels by four words, as a
//       warp reads them, fall into 32 different banks
//   w   words [words a pixel][KB + 8], a channel's filters side by side; four channels by eight filters: 32 banks too
//
// A warp has MT tiles of 16 pixels and all KB filters; its sums stay in registers over all taps and channels.
// Not yet run on a GPU.
#include "conv_precision.cuh"

template <class P, int KB, int MT>
struct Product {  // on tensor cores
  float sums[MT][KB / 8][4];
  int at[MT][2];  // offsets of this lane's pixels

  __device__ __forceinline__ void begin(const int* offsets) {
    const int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
      for (int half = 0; half < 2; half++) at[m][half] = offsets[(warp * MT + m) * 16 + g + half * 8] + q;
#pragma unroll
      for (int j = 0; j < KB / 8; j++) sums[m][j][0] = sums[m][j][1] = sums[m][j][2] = sums[m][j][3] = 0.0f;
    }
  }

  __device__ __forceinline__ void add(const uint32_t* x, const uint32_t* w, int words) {
    const int g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
    w += q * (KB + 8) + g;
    for (int k = 0; k < words; k += 8) {
      uint32_t a[MT][P::PARTS][4], b[KB / 8][P::PARTS][2];
#pragma unroll
      for (int m = 0; m < MT; m++)
#pragma unroll
        for (int i = 0; i < 4; i++) P::split(x[at[m][i % 2] + k + i / 2 * 4], a[m], i);
#pragma unroll
      for (int j = 0; j < KB / 8; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) P::split(w[(k + i * 4) * (KB + 8) + j * 8], b[j], i);
#pragma unroll
      for (int m = 0; m < MT; m++)
#pragma unroll
        for (int j = 0; j < KB / 8; j++) P::multiply(sums[m][j], a[m], b[j]);
    }
  }

  // The sums as [pixel][KB + 4] in shared memory.
  __device__ __forceinline__ void write(float* tile) const {
    const int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
      for (int j = 0; j < KB / 8; j++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
          float* to = tile + ((warp * MT + m) * 16 + g + half * 8) * (KB + 4) + j * 8 + 2 * q;
          *reinterpret_cast<float2*>(to) = make_float2(sums[m][j][2 * half], sums[m][j][2 * half + 1]);
        }
  }
};

template <typename T, int KB, int MT>
struct Product<Full<T>, KB, MT> {  // a lane has 4 MT pixels and KB / 8 filters, and multiplies four channels at a time
  static constexpr int OWN = KB / 8;
  T sums[MT * 4][OWN];
  int at[MT * 4];

  static __device__ __forceinline__ int pixel(int i) {
    return threadIdx.x / WARP * MT * 16 + i * 4 + threadIdx.x % 4;
  }

  __device__ __forceinline__ void begin(const int* offsets) {
#pragma unroll
    for (int i = 0; i < MT * 4; i++) {
      at[i] = offsets[pixel(i)];
#pragma unroll
      for (int j = 0; j < OWN; j++) sums[i][j] = T(0);
    }
  }

  __device__ __forceinline__ void add(const T* x, const T* w, int words) {
    w += threadIdx.x % WARP / 4 * OWN;
    for (int k = 0; k < words; k += 4) {
      T filters[4][OWN];
#pragma unroll
      for (int c = 0; c < 4; c++)
#pragma unroll
        for (int j = 0; j < OWN; j++) filters[c][j] = w[(k + c) * (KB + 8) + j];
#pragma unroll
      for (int i = 0; i < MT * 4; i++) {
        T channels[4];
        read4(channels, x + at[i] + k);
#pragma unroll
        for (int c = 0; c < 4; c++)
#pragma unroll
          for (int j = 0; j < OWN; j++) sums[i][j] = fma(channels[c], filters[c][j], sums[i][j]);
      }
    }
  }

  __device__ __forceinline__ void write(T* tile) const {
#pragma unroll
    for (int i = 0; i < MT * 4; i++)
#pragma unroll
      for (int j = 0; j < OWN; j++) tile[pixel(i) * (KB + 4) + threadIdx.x % WARP / 4 * OWN + j] = sums[i][j];
  }
};
