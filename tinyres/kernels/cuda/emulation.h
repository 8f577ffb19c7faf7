// CUDA on a CPU, for kernels that are to be tested where there is no GPU.
//
// Each GPU thread is a fibre: a stack of its own, and a switch that saves the six registers a callee owes its caller.
// A fibre runs until it waits at a barrier or ends; then the next one that can run gets its turn, threads of the same
// warp first. What lanes exchange (shuffles, matrix fragments) goes through a buffer and a barrier of the warp.
//
//   a barrier is missing     a thread reads shared memory before it was written: NaN, with which each block begins
//   a barrier not all reach  nobody can run any more: the launch fails and says so
//   an index is wrong        AddressSanitizer knows the end of every array and of the shared memory
//   the order matters        threads run forward, or backward if asked: results must be the same bits
//
// Blocks run one after another and memory is consistent at once: a race between blocks, a missing __threadfence, cp.async
// and speed are not seen here. Arithmetic is IEEE float, every fmaf one rounding.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#define TINYRES_EMULATION 1
#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ static  // not filled with NaN; kernels of tinyres take their shared memory from the launch
#define __forceinline__ inline
#define __noinline__
#define __restrict__
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

static dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

namespace emulated {

constexpr int WARP = 32, WORDS = 16;  // words a lane may give away in one exchange
constexpr size_t STACK = 64 * 1024;
enum State : char { READY, AT_WARP, AT_BLOCK, DONE };

struct Fibre {
#if defined(__x86_64__)
    void* stack_pointer;
#else
    ucontext_t context;
#endif
    char* stack = nullptr;
    State state;
    int exchanges;  // how many this lane has taken part in: two buffers alternate
};

static std::vector<Fibre> fibres;
static Fibre scheduler;
static std::vector<uint32_t> given;            // [exchange % 2][thread][WORDS]
static std::vector<int> waiting_warp, alive_warp;
static int waiting_block, alive_block, current, threads;
static bool backward;
static unsigned char* shared = nullptr;
static void (*body)(void*);
static void* body_arguments;

#if defined(__x86_64__)
extern "C" void tinyres_switch(void** from, void* to);
asm(".text\n.local tinyres_switch\n.type tinyres_switch,@function\ntinyres_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
    ".size tinyres_switch,.-tinyres_switch\n");
inline void go(Fibre& from, Fibre& to) { tinyres_switch(&from.stack_pointer, to.stack_pointer); }
inline void prepare(Fibre& fibre, void (*entry)()) {
    void** top = reinterpret_cast<void**>(fibre.stack + STACK) - 2;  // at entry the stack is 8 off a multiple of 16
    top[0] = reinterpret_cast<void*>(entry);
    for (int i = 1; i <= 6; i++) top[-i] = nullptr;
    fibre.stack_pointer = top - 6;
}
#else
inline void go(Fibre& from, Fibre& to) { swapcontext(&from.context, &to.context); }
inline void prepare(Fibre& fibre, void (*entry)()) {
    getcontext(&fibre.context);
    fibre.context.uc_stack.ss_sp = fibre.stack;
    fibre.context.uc_stack.ss_size = STACK;
    fibre.context.uc_link = nullptr;
    makecontext(&fibre.context, entry, 0);
}
#endif

inline void become(int thread) {
    current = thread;
    threadIdx = dim3(thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / (blockDim.x * blockDim.y));
}

// The next thread that can run: of this warp if there is one, else of the following ones; -1 if nobody can.
inline int next_ready(int thread) {
    const int warp = thread / WARP * WARP, end = warp + WARP < threads ? warp + WARP : threads;
    const int step = backward ? -1 : 1;
    for (int i = 1; i <= end - warp; i++) {
        const int other = warp + ((thread - warp + step * i) % (end - warp) + (end - warp)) % (end - warp);
        if (fibres[other].state == READY) return other;
    }
    for (int i = 1; i <= threads; i++) {
        const int other = ((thread + step * i) % threads + threads) % threads;
        if (fibres[other].state == READY) return other;
    }
    return -1;
}

// Leave this thread, which waits or is done, for another one; for the scheduler when nobody can run.
inline void yield() {
    const int self = current, other = next_ready(self);
    if (other == self) return;
    if (other < 0) {
        go(fibres[self], scheduler);
    } else {
        become(other);
        go(fibres[self], fibres[other]);
    }
    // whoever comes back here has called become(self)
}

inline void release_warp(int warp) {
    waiting_warp[warp] = 0;
    for (int i = warp * WARP; i < (warp + 1) * WARP && i < threads; i++)
        if (fibres[i].state == AT_WARP) fibres[i].state = READY;
}

inline void release_block() {
    waiting_block = 0;
    for (int i = 0; i < threads; i++)
        if (fibres[i].state == AT_BLOCK) fibres[i].state = READY;
}

inline void wait_warp() {
    const int warp = current / WARP;
    fibres[current].state = AT_WARP;
    if (++waiting_warp[warp] == alive_warp[warp]) release_warp(warp);
    if (fibres[current].state != READY) yield();
}

inline void wait_block() {
    fibres[current].state = AT_BLOCK;
    if (++waiting_block == alive_block) release_block();
    if (fibres[current].state != READY) yield();
}

inline void entry() {
    body(body_arguments);
    const int warp = current / WARP;
    fibres[current].state = DONE;
    if (--alive_warp[warp] == waiting_warp[warp] && alive_warp[warp]) release_warp(warp);
    if (--alive_block == waiting_block && alive_block) release_block();
    yield();
    std::abort();  // nobody returns to a thread that is done
}

// Give some words to the warp, and get the table of what every lane gave: lane i's words begin at i * WORDS.
inline const uint32_t* exchange(const uint32_t* words, int count) {
    Fibre& self = fibres[current];
    uint32_t* table = given.data() + (size_t)(self.exchanges++ % 2) * threads * WORDS;
    std::memcpy(table + current * WORDS, words, 4 * count);
    const int warp = current / WARP * WARP;
    wait_warp();
    return table + warp * WORDS;
}

inline int lane() { return current % WARP; }

template <class T> inline T from_lane(T value, int source) {
    static_assert(sizeof(T) % 4 == 0, "words");
    uint32_t words[sizeof(T) / 4];
    std::memcpy(words, &value, sizeof(T));
    const uint32_t* table = exchange(words, sizeof(T) / 4);
    if (source < 0 || source >= WARP) source = lane();
    std::memcpy(words, table + source * WORDS, sizeof(T));
    T result;
    std::memcpy(&result, words, sizeof(T));
    return result;
}

// What a launch says when it could not be carried out; 0 is success.
enum Failure { FINE = 0, NO_MEMORY = 1, STUCK = 2, TOO_MANY_THREADS = 3 };

inline int run(const unsigned* grid, const unsigned* block, size_t shared_bytes, int order) {
    gridDim = dim3(grid[0], grid[1], grid[2]);
    blockDim = dim3(block[0], block[1], block[2]);
    threads = block[0] * block[1] * block[2];
    backward = order != 0;
    if (threads < 1 || threads > 1024) return TOO_MANY_THREADS;
    while ((int)fibres.size() < threads) {
        fibres.emplace_back();
        if (!(fibres.back().stack = (char*)std::malloc(STACK))) return NO_MEMORY;
    }
    given.assign((size_t)2 * threads * WORDS, 0);
    const int warps = (threads + WARP - 1) / WARP;
    shared = (unsigned char*)std::malloc(shared_bytes);  // no byte more, so that AddressSanitizer sees what lies beyond
    if (!shared && shared_bytes) return NO_MEMORY;
    int failure = FINE;
    for (unsigned z = 0; z < gridDim.z && !failure; z++)
        for (unsigned y = 0; y < gridDim.y && !failure; y++)
            for (unsigned x = 0; x < gridDim.x && !failure; x++) {
                blockIdx = dim3(x, y, z);
                std::memset(shared, 0xff, shared_bytes);  // NaN in every type of float
                waiting_block = 0;
                alive_block = threads;
                waiting_warp.assign(warps, 0);
                alive_warp.assign(warps, WARP);
                alive_warp[warps - 1] = threads - (warps - 1) * WARP;
                for (int i = 0; i < threads; i++) {
                    fibres[i].state = READY;
                    fibres[i].exchanges = 0;
                    prepare(fibres[i], entry);
                }
                const int first = backward ? threads - 1 : 0;
                become(first);
                go(scheduler, fibres[first]);
                if (alive_block) failure = STUCK;
            }
    std::free(shared);
    return failure;
}

// ---- a launch from outside: arguments as an array of pointers to values, as in cuLaunchKernel

template <class T> struct Code { static constexpr char value = '?'; };
template <> struct Code<float> { static constexpr char value = 'f'; };
template <> struct Code<double> { static constexpr char value = 'd'; };
template <> struct Code<bool> { static constexpr char value = 'b'; };
template <> struct Code<signed char> { static constexpr char value = 'c'; };
template <> struct Code<unsigned char> { static constexpr char value = 'C'; };
template <> struct Code<int> { static constexpr char value = 'i'; };
template <> struct Code<unsigned> { static constexpr char value = 'I'; };
template <> struct Code<long> { static constexpr char value = 'l'; };
template <> struct Code<unsigned long> { static constexpr char value = 'L'; };
template <> struct Code<long long> { static constexpr char value = 'l'; };
template <> struct Code<unsigned long long> { static constexpr char value = 'L'; };

template <class T> void describe(std::string& text) {
    using Bare = std::remove_cv_t<std::remove_reference_t<T>>;
    if (std::is_pointer<Bare>::value) {
        text += 'P';
        text += Code<std::remove_cv_t<std::remove_pointer_t<Bare>>>::value;
    } else {
        text += Code<Bare>::value;
    }
    text += ' ';
}

template <class... A> const char* signature(void (*)(A...)) {
    static std::string text = [] {
        std::string made;
        (describe<A>(made), ...);
        return made;
    }();
    return text.c_str();
}

template <class... A> struct Call {
    void (*kernel)(A...);
    void** arguments;
    template <size_t... I> void spread(std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_cv_t<std::remove_reference_t<A>>*>(arguments[I])...);
    }
    static void make(void* self) { static_cast<Call*>(self)->spread(std::index_sequence_for<A...>()); }
};

template <class... A>
int launch(void (*kernel)(A...), const unsigned* grid, const unsigned* block, size_t shared_bytes, void** arguments,
           int order) {
    Call<A...> call{kernel, arguments};
    body = Call<A...>::make;
    body_arguments = &call;
    return run(grid, block, shared_bytes, order);
}

}  // namespace emulated

// Names of a kernel must not meet those of the parameters, hence their prefix.
#define TINYRES_EXPORT(symbol, ...)                                                                              \
    extern "C" int symbol(const unsigned* tinyres_grid, const unsigned* tinyres_block, size_t tinyres_shared,    \
                          void** tinyres_arguments, int tinyres_order) {                                         \
        return emulated::launch(&__VA_ARGS__, tinyres_grid, tinyres_block, tinyres_shared, tinyres_arguments,    \
                                tinyres_order);                                                                  \
    }                                                                                                            \
    extern "C" const char* symbol##_signature() { return emulated::signature(&__VA_ARGS__); }

// ---- what kernels call

inline void __syncthreads() { emulated::wait_block(); }
inline void __syncwarp(unsigned = ~0u) { emulated::wait_warp(); }
inline void __threadfence() {}
inline void __threadfence_block() {}
template <class T> T __shfl_sync(unsigned, T value, int lane, int = 32) {
    return emulated::from_lane(value, lane & 31);
}
template <class T> T __shfl_xor_sync(unsigned, T value, int mask, int = 32) {
    return emulated::from_lane(value, emulated::lane() ^ mask);
}
template <class T> T __shfl_down_sync(unsigned, T value, unsigned by, int = 32) {
    return emulated::from_lane(value, emulated::lane() + (int)by);
}
template <class T> T __shfl_up_sync(unsigned, T value, unsigned by, int = 32) {
    return emulated::from_lane(value, emulated::lane() - (int)by);
}
inline unsigned __ballot_sync(unsigned, int predicate) {
    const uint32_t word = predicate != 0;
    const uint32_t* table = emulated::exchange(&word, 1);
    const int first = emulated::current / 32 * 32;
    unsigned votes = 0;
    for (int i = 0; i < 32 && first + i < emulated::threads; i++)
        votes |= (emulated::fibres[first + i].state == emulated::DONE ? 0u : table[i * emulated::WORDS]) << i;
    return votes;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }
template <class T> T atomicAdd(T* address, T value) {
    const T before = *address;
    *address = before + value;
    return before;
}
template <class T> T atomicMax(T* address, T value) {
    const T before = *address;
    if (value > before) *address = value;
    return before;
}
template <class T> T atomicMin(T* address, T value) {
    const T before = *address;
    if (value < before) *address = value;
    return before;
}
template <class T> T __ldg(const T* address) { return *address; }
template <class T> T __ldcg(const T* address) { return *address; }
template <class T> void __stcg(T* address, T value) { *address = value; }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline unsigned __float_as_uint(float x) { unsigned u; std::memcpy(&u, &x, 4); return u; }
inline float __uint_as_float(unsigned u) { float x; std::memcpy(&x, &u, 4); return x; }
inline int __float_as_int(float x) { int u; std::memcpy(&u, &x, 4); return u; }
inline float __int_as_float(int u) { float x; std::memcpy(&x, &u, 4); return x; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __fmaf_rn(float a, float b, float c) { return std::fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline long long min(long long a, long long b) { return a < b ? a : b; }
inline long long max(long long a, long long b) { return a > b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
using std::fma;
using std::fmax;
using std::fmin;
using std::isfinite;
using std::isnan;
