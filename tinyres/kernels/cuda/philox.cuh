// Philox4x32-10: four random words as a pure function of a counter of four words and a key of two; the integers of
// kernels/philox.py, where the method and its source stand. Not yet run on a GPU.
#include "common.cuh"

struct Words {
  uint32_t word[4];
};

__device__ __forceinline__ Words philox(uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t low, uint32_t high) {
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const uint32_t left = 0xD2511F53u * a, right = 0xCD9E8D57u * c;
    const uint32_t left_high = __umulhi(0xD2511F53u, a), right_high = __umulhi(0xCD9E8D57u, c);
    a = right_high ^ b ^ low;
    b = right;
    c = left_high ^ d ^ high;
    d = left;
    low += 0x9E3779B9u;
    high += 0xBB67AE85u;
  }
  return {{a, b, c, d}};
}
