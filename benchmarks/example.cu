// A convolution of one's own in CUDA C++, to begin from: every value of the result has a thread of its own.
//
//     tinyres bench --mine benchmarks/example.cu                 right or wrong, with the place; on a GPU also how fast
//     tinyres train --device cuda --use conv2d=benchmarks/example.cu
//
// A kernel is named like its op and says by name what it wants to be given, in any order: the arrays x[N, H, W, C],
// w[R, S, C, F] and y[N, I, J, F], their sizes, stride, and the zeros around the image. Where the comment above a
// kernel says nothing else, there are as many threads as y has values, in blocks of 256.

// tinyres: grid=(size + 127) / 128 block=128
extern "C" __global__ void conv2d(const float* x, const float* w, float* y, int size, int H, int W, int C, int I, int J,
                                  int F, int R, int S, int stride, int top, int left, int groups) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  int f = i % F, column = i / F % J, row = i / F / J % I, n = i / F / J / I;
  int few = C / groups, first = f / (F / groups) * few;  // a filter sees the channels of its group alone
  float sum = 0;
  for (int r = 0; r < R; r++) {
    for (int s = 0; s < S; s++) {
      int h = row * stride + r - top, v = column * stride + s - left;
      if (h < 0 || h >= H || v < 0 || v >= W) continue;
      for (int c = 0; c < few; c++) {
        sum += x[((n * H + h) * W + v) * C + first + c] * w[((r * S + s) * few + c) * F + f];
      }
    }
  }
  y[i] = sum;
}
