// Sums over the rows of a matrix [rows, channels], channels last, in one order whatever the scheduling: the same bits
// in every run on one type of GPU.
//
//   1. each block takes a run of rows and up to TILE * V channels; threads side by side read channels side by side
//      (V of them at once), and threads above each other ("lanes") every lanes-th row of the run
//   2. the lanes are folded onto each other in shared memory, half onto half
//   3. each block leaves its sums in `partials`, and the one that finishes last adds those of all, in float64
//
// Which block is last differs from run to run; what it adds, and in which order, does not. The only atomic is on the
// integer that counts finished blocks; the last one sets it back to 0, so it is good for the next launch.
// Not yet run on a GPU.
#include "common.cuh"

#define TILE 32       // threads side by side at most: with V = 4 floats they read 512 bytes at once
#define UNROLL 4      // rows whose loads are in flight at once
#define AHEAD 8       // blocks whose partial sums are

// How a thread reads: one channel, or four of them, at once if they are aligned. Which way it is changes no sum.
struct One {
  static constexpr int V = 1;
  static constexpr bool at_once = false;
};
struct Four {
  static constexpr int V = 4;
  static constexpr bool at_once = false;
};
struct FourAtOnce {
  static constexpr int V = 4;
  static constexpr bool at_once = true;
};
template <class Width, typename T>
__device__ __forceinline__ void read(T* v, const T* from) {
  if constexpr (Width::at_once) {
    read4(v, from);
  } else {
#pragma unroll
    for (int k = 0; k < Width::V; k++) v[k] = from[k];
  }
}
template <class Width, typename T>
__device__ __forceinline__ void write(T* to, const T* v) {
  if constexpr (Width::at_once) {
    write4(to, v);
  } else {
#pragma unroll
    for (int k = 0; k < Width::V; k++) to[k] = v[k];
  }
}

// Do something with the `Width` that fits these channels and addresses.
#define WITH_WIDTH(channels, aligned, ...) \
  do {                                     \
    if (channels % 4) {                    \
      using Width = One;                   \
      __VA_ARGS__;                         \
    } else if (aligned) {                  \
      using Width = FourAtOnce;            \
      __VA_ARGS__;                         \
    } else {                               \
      using Width = Four;                  \
      __VA_ARGS__;                         \
    }                                      \
  } while (false)

// a b + c in one rounding, so that whoever computes it again gets the same bits.
__device__ __forceinline__ float fused(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double fused(double a, double b, double c) { return fma(a, b, c); }

// A block seen as rows of `width` threads.
struct Lanes {
  int width, column, lane, lanes;
  bool idle;  // the few threads that do not fill a row
  __device__ __forceinline__ explicit Lanes(int width)
      : width(width), column(threadIdx.x % width), lane(threadIdx.x / width), lanes(blockDim.x / width) {
    idle = lane >= lanes;
  }
};

// What a block works on: V channels from `channel` on for each thread, rows `first` to `stop`.
template <int V>
struct Part : Lanes {
  int channel;
  int64_t run, first, stop;  // rows of a block: as many for each lane as are loaded at once, or a multiple
  __device__ __forceinline__ Part(int64_t rows, int channels)
      : Lanes(min(TILE, channels / V - int(blockIdx.y) * TILE)) {
    channel = V * (blockIdx.y * TILE + column);
    const int64_t step = lanes * UNROLL, steps = (rows + step - 1) / step;
    run = (steps + gridDim.x - 1) / gridDim.x * step;
    first = run * blockIdx.x;
    stop = first + run < rows ? first + run : rows;
  }
};

// N sums of each thread over the lanes: afterwards lane 0 has the totals. `scratch` holds N values a thread.
template <int N, typename T>
__device__ __forceinline__ void fold(T sums[N], T* scratch, const Lanes& at) {
  __syncthreads();  // scratch may still be read from before
#pragma unroll
  for (int k = 0; k < N; k++) scratch[k * blockDim.x + threadIdx.x] = sums[k];
  for (int left = at.lanes; left > 1;) {
    const int half = (left + 1) / 2;
    __syncthreads();
    if (at.lane < left - half) {
#pragma unroll
      for (int k = 0; k < N; k++) {
        sums[k] += scratch[k * blockDim.x + threadIdx.x + half * at.width];
        scratch[k * blockDim.x + threadIdx.x] = sums[k];
      }
    }
    left = half;
  }
}

// Whether this is the last of the blocks along x that comes here; then it sees all that the others wrote before.
__device__ __forceinline__ bool is_last(int* counters, void* scratch) {
  int* answer = static_cast<int*>(scratch);
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    *answer = atomicAdd(counters + blockIdx.y, 1) == int(gridDim.x) - 1;
    if (*answer) counters[blockIdx.y] = 0;
  }
  __syncthreads();
  const bool last = *answer;
  __threadfence();
  return last;
}

// What the blocks left: use(block, values) for each of a lane's blocks in ascending order; `values` of a block lie
// `pitch` apart. They come from the L2, which all blocks share and which answers after hundreds of cycles, so the loads
// of AHEAD blocks are in flight at once.
template <int N, typename T, class Use>
__device__ __forceinline__ void over_blocks(const T* partials, int pitch, const Lanes& at, Use use) {
  const int blocks = gridDim.x;
  for (int b = at.lane; b < blocks && !at.idle; b += AHEAD * at.lanes) {
    T values[AHEAD][N];
#pragma unroll
    for (int e = 0; e < AHEAD; e++) {
      const int block = b + e * at.lanes;
#pragma unroll
      for (int k = 0; k < N; k++)
        values[e][k] = block < blocks ? __ldcg(partials + (int64_t(block) * N + k) * pitch) : T(0);
    }
#pragma unroll
    for (int e = 0; e < AHEAD; e++)
      if (b + e * at.lanes < blocks) use(b + e * at.lanes, values[e]);
  }
}
