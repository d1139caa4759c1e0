// The tensor kernels, written once with vector types and compiled for each level by the file that
// includes this: TENSOR_ROWS rows and TENSOR_COLUMNS columns (16 or 32) of a panel make one block of
// accumulators, as many as the level has registers for.
#include "tensor.h"
#include <math.h>
#include <string.h>
#if TENSOR_VNNI || TENSOR_MADD
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float floats __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t halves __attribute__((vector_size(32), aligned(2), may_alias));

typedef int8_t bytes __attribute__((vector_size(16), aligned(1), may_alias));
typedef int16_t shorts __attribute__((vector_size(32)));
typedef int32_t pairs __attribute__((vector_size(32)));
#define EVEN(x) __builtin_shufflevector(x, x, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD(x) __builtin_shufflevector(x, x, 1, 3, 5, 7, 9, 11, 13, 15)

enum { LANES = 16, VECTORS = TENSOR_COLUMNS / LANES };

// Elementwise functions.

INLINE void select_floats(const ints *mask, const floats *yes, const floats *no, floats *out) {
  *out = (floats)(((ints)*yes & *mask) | ((ints)*no & ~*mask));
}

// What is not a number stays so.
INLINE void clamp(floats *x, float low, float high) {
#if TENSOR_VNNI
  const __m512 raised = _mm512_max_ps(_mm512_set1_ps(low), (__m512)*x);
  *x = (floats)_mm512_min_ps(_mm512_set1_ps(high), raised);
#else
  const floats lows = *x * 0.0f + low, highs = *x * 0.0f + high;
  ints below = *x < low, above = *x > high;
  select_floats(&below, &lows, x, x);
  select_floats(&above, &highs, x, x);
#endif
}

// e^x within 2 ulp for x in -87 ... 88, clamped to that (Cephes, expf).
INLINE void exponential(floats *x) {
  floats value = *x;
  clamp(&value, -87.0f, 88.0f);
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  floats rounded = (value * 1.44269504f + magic) - magic;
  floats r = value - rounded * 0.693359375f + rounded * 2.12194440e-4f;
  floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  ints power = (__builtin_convertvector(rounded, ints) + 127) << 23;
  *x = p * (floats)power;
}

INLINE void apply(int activation, floats *x) {
  switch (activation) {
    case ROOST_RELU: {
      ints positive = *x > 0.0f;
      *x = (floats)((ints)*x & positive);
      break;
    }
    case ROOST_RELU6: clamp(x, 0.0f, 6.0f); break;
    case ROOST_GELU: {
      floats size = (floats)((ints)*x & 0x7fffffff) * 0.70710678f;
      floats t = 1.0f / (size * 0.3275911f + 1.0f);
      floats p = t * 1.061405429f - 1.453152027f;
      p = p * t + 1.421413741f;
      p = p * t - 0.284496736f;
      p = p * t + 0.254829592f;
      floats e = -size * size;
      exponential(&e);
      floats erf = 1.0f - p * t * e;
      erf = (floats)((ints)erf | ((ints)*x & (int32_t)0x80000000));
      *x = *x * 0.5f * (erf + 1.0f);
      break;
    }
    case ROOST_SIGMOID: {
      floats e = -*x;
      exponential(&e);
      *x = 1.0f / (e + 1.0f);
      break;
    }
    case ROOST_TANH: {
      floats e = *x * -2.0f;
      exponential(&e);
      *x = 2.0f / (e + 1.0f) - 1.0f;
      break;
    }
    default: break;
  }
}

INLINE void load_part(floats *to, const float *from, size_t count) {
  float lanes[LANES] = {0};
  memcpy(lanes, from, count * sizeof(float));
  memcpy(to, lanes, sizeof lanes);
}

INLINE void store_part(float *to, const floats *from, size_t count) {
  float lanes[LANES];
  memcpy(lanes, from, sizeof lanes);
  memcpy(to, lanes, count * sizeof(float));
}

static void activate(int activation, float *x, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    floats value = *(const floats *)(x + i);
    apply(activation, &value);
    *(floats *)(x + i) = value;
  }
  if (i < count) {
    floats value;
    load_part(&value, x + i, count - i);
    apply(activation, &value);
    store_part(x + i, &value, count - i);
  }
}

static void add(const float *x, float *y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] += x[i];
}

// Rows.

static void softmax(float *x, size_t rows, size_t width) {
  for (size_t row = 0; row < rows; row++, x += width) {
    float largest = -INFINITY;
    for (size_t i = 0; i < width; i++) largest = x[i] > largest ? x[i] : largest;
    // All of them minus infinity: no weight is better than another.
    if (largest == -INFINITY) largest = 0;
    float sum = 0;
    size_t i = 0;
    floats sums = {0};
    for (; i + LANES <= width; i += LANES) {
      floats value = *(const floats *)(x + i) - largest;
      exponential(&value);
      *(floats *)(x + i) = value;
      sums += value;
    }
    for (size_t lane = 0; lane < LANES; lane++) sum += sums[lane];
    if (i < width) {
      floats value;
      load_part(&value, x + i, width - i);
      value -= largest;
      exponential(&value);
      store_part(x + i, &value, width - i);
      for (; i < width; i++) sum += x[i];
    }
    const float scale = 1.0f / sum;
    for (i = 0; i < width; i++) x[i] *= scale;
  }
}

static void layer_norm(const float *x, size_t rows, size_t width, const float *gamma, const float *beta,
                       float epsilon, float *y) {
  for (size_t row = 0; row < rows; row++, x += width, y += width) {
    floats sums = {0}, squares = {0};
    float sum = 0, square = 0;
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) sums += *(const floats *)(x + i);
    for (size_t lane = 0; lane < LANES; lane++) sum += sums[lane];
    for (; i < width; i++) sum += x[i];
    const float mean = sum / (float)width;
    for (i = 0; i + LANES <= width; i += LANES) {
      floats d = *(const floats *)(x + i) - mean;
      squares += d * d;
    }
    for (size_t lane = 0; lane < LANES; lane++) square += squares[lane];
    for (; i < width; i++) square += (x[i] - mean) * (x[i] - mean);
    const float scale = 1.0f / sqrtf(square / (float)width + epsilon);
    for (i = 0; i < width; i++) y[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
  }
}

// Linear layers.

typedef struct {
  const roost_linear *call;
  const char *panel;      // of the 32 outputs, at the first column of the block
  size_t row, output;     // first row, first output of the block
  // The inputs of a row lie in runs of the same length; from one to the next it is `run_step` floats.
  size_t runs, run_inputs, run_step;
  const uint8_t *quantized;  // I8: rows of `groups * 4` bytes
  const float *scales;       // I8: what a step is worth in each row
  const int32_t *zeros;      // I8: the byte that stands for 0 in each row
} block_place;

INLINE size_t groups_of(size_t inputs) { return (inputs + 3) / 4; }

#define UNROLLED _Pragma("clang loop unroll(full)")

// The activations that cost a branch; the others are bounds.
static void finish_curved(const block_place *at, size_t rows, size_t count) {
  const roost_linear *call = at->call;
  for (size_t r = 0; r < rows; r++)
    activate(call->activation, call->y + (at->row + r) * call->y_stride + at->output, count);
}

INLINE void finish_block(const int ROWS, const int COLUMNS, const block_place *at, floats sums[][VECTORS]) {
  const roost_linear *call = at->call;
  const float low = call->activation == ROOST_RELU || call->activation == ROOST_RELU6 ? 0.0f : -INFINITY;
  const float high = call->activation == ROOST_RELU6 ? 6.0f : INFINITY;
  const size_t left = call->outputs - at->output;
  UNROLLED for (int v = 0; v < COLUMNS; v++) {
    const size_t first = at->output + (size_t)v * LANES;
    if (first >= call->outputs) break;
    const size_t count = call->outputs - first < LANES ? call->outputs - first : LANES;
    floats bias = {0};
    if (call->bias && count == LANES) {
      bias = *(const floats *)(call->bias + first);
    } else if (call->bias) {
      load_part(&bias, call->bias + first, count);
    }
    UNROLLED for (int r = 0; r < ROWS; r++) {
      sums[r][v] += bias;
      clamp(&sums[r][v], low, high);
    }
    float *to = call->y + at->row * call->y_stride + first;
    if (count == LANES) {
      UNROLLED for (int r = 0; r < ROWS; r++) *(floats *)(to + (size_t)r * call->y_stride) = sums[r][v];
    } else {
      UNROLLED for (int r = 0; r < ROWS; r++) store_part(to + (size_t)r * call->y_stride, &sums[r][v], count);
    }
  }
  if (call->activation > ROOST_RELU6)
    finish_curved(at, (size_t)ROWS, left < (size_t)COLUMNS * LANES ? left : (size_t)COLUMNS * LANES);
}

INLINE void load_weights_f32(const void *from, floats *to) { *to = *(const floats *)from; }

INLINE void load_weights_bf16(const void *from, floats *to) {
  *to = (floats)(__builtin_convertvector(*(const halves *)from, ints) << 16);
}

// COLUMNS: vectors of a block, fewer than VECTORS where the last panel has no more outputs.
#define DEFINE_BLOCK(NAME, ELEMENT, LOAD)                                                          \
  INLINE void NAME(const int ROWS, const int COLUMNS, const block_place *at) {                     \
    const size_t stride = at->call->x_stride, count = at->run_inputs;                              \
    const float *x = at->call->x + at->row * stride;                                               \
    const ELEMENT *weights = (const ELEMENT *)at->panel;                                           \
    floats sums[TENSOR_ROWS][VECTORS] = {0};                                                       \
    for (size_t run = at->runs; run > 0; run--) {                                                  \
      for (size_t i = 0; i < count; i++, weights += ROOST_PANEL) {                                 \
        floats w[VECTORS];                                                                         \
        UNROLLED for (int v = 0; v < COLUMNS; v++) LOAD(weights + v * LANES, &w[v]);               \
        UNROLLED for (int r = 0; r < ROWS; r++) {                                                  \
          const float factor = x[(size_t)r * stride + i];                                          \
          UNROLLED for (int v = 0; v < COLUMNS; v++) sums[r][v] += w[v] * factor;                  \
        }                                                                                          \
      }                                                                                            \
      x += at->run_step;                                                                           \
    }                                                                                              \
    finish_block(ROWS, COLUMNS, at, sums);                                                         \
  }

DEFINE_BLOCK(block_f32, float, load_weights_f32)
DEFINE_BLOCK(block_bf16, uint16_t, load_weights_bf16)

// A panel of I8: 32 scales (f32), 32 sums of its weights (i32), then [groups][32][4] weights.
INLINE void sum_products_i8(const int ROWS, size_t groups, const uint8_t *x, const int8_t *weights,
                            ints sums[][VECTORS]) {
#if TENSOR_VNNI
  for (size_t g = 0; g < groups; g++, weights += ROOST_PANEL * 4) {
    __m512i w[VECTORS];
    for (int v = 0; v < VECTORS; v++) w[v] = _mm512_loadu_si512(weights + v * 64);
#pragma clang loop unroll(full)
    for (int r = 0; r < ROWS; r++) {
      int32_t four;
      memcpy(&four, x + ((size_t)r * groups + g) * 4, 4);
      for (int v = 0; v < VECTORS; v++)
        sums[r][v] = (ints)_mm512_dpbusd_epi32((__m512i)sums[r][v], _mm512_set1_epi32(four), w[v]);
    }
  }
#else
  // Four columns at a time: 16 weights times four inputs, summed in pairs.
  for (int v = 0; v < VECTORS; v++)
    for (int quad = 0; quad < 4; quad++) {
      pairs partial[TENSOR_ROWS] = {0};
      const int8_t *at = weights + v * 64 + quad * 16;
      for (size_t g = 0; g < groups; g++, at += ROOST_PANEL * 4) {
        const shorts w = __builtin_convertvector(*(const bytes *)at, shorts);
#pragma clang loop unroll(full)
        for (int r = 0; r < ROWS; r++) {
          const uint8_t *f = x + ((size_t)r * groups + g) * 4;
          const shorts four = {f[0], f[1], f[2], f[3], f[0], f[1], f[2], f[3],
                               f[0], f[1], f[2], f[3], f[0], f[1], f[2], f[3]};
#if TENSOR_MADD
          partial[r] += (pairs)_mm256_madd_epi16((__m256i)w, (__m256i)four);
#else
          const pairs even = __builtin_convertvector(EVEN(w), pairs) * __builtin_convertvector(EVEN(four), pairs);
          const pairs odd = __builtin_convertvector(ODD(w), pairs) * __builtin_convertvector(ODD(four), pairs);
          partial[r] += even + odd;
#endif
        }
      }
      for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < 4; c++) sums[r][v][quad * 4 + c] = partial[r][2 * c] + partial[r][2 * c + 1];
    }
#endif
}

INLINE void block_i8(const int ROWS, const int COLUMNS, const block_place *at) {
  (void)COLUMNS;
  const roost_linear *call = at->call;
  const size_t groups = groups_of(call->inputs);
  const float *scales = (const float *)at->panel;
  const int32_t *totals = (const int32_t *)at->panel + ROOST_PANEL;
  ints sums[TENSOR_ROWS][VECTORS] = {0};
  sum_products_i8(ROWS, groups, at->quantized + at->row * groups * 4,
                  (const int8_t *)at->panel + ROOST_PANEL * 8, sums);
  floats values[TENSOR_ROWS][VECTORS];
  for (int r = 0; r < ROWS; r++)
    for (int v = 0; v < VECTORS; v++)
      values[r][v] = __builtin_convertvector(
                         sums[r][v] - *(const ints *)(totals + v * LANES) * at->zeros[at->row + (size_t)r],
                         floats) *
                     *(const floats *)(scales + v * LANES) * at->scales[at->row + (size_t)r];
  finish_block(ROWS, VECTORS, at, values);
}

// Calls BLOCK with a constant number of rows, so that its accumulators become registers.
#define FOR_ROWS(BLOCK, COLUMNS, rows, at)                \
  switch (rows) {                                         \
    case 1: BLOCK(1, COLUMNS, at); break;                 \
    case 2: BLOCK(2, COLUMNS, at); break;                 \
    case 3: BLOCK(3, COLUMNS, at); break;                 \
    case 4: BLOCK(TENSOR_ROWS < 4 ? 3 : 4, COLUMNS, at); break;  \
    case 5: BLOCK(TENSOR_ROWS < 5 ? 3 : 5, COLUMNS, at); break;  \
    case 6: BLOCK(TENSOR_ROWS < 6 ? 3 : 6, COLUMNS, at); break;  \
    case 7: BLOCK(TENSOR_ROWS < 7 ? 3 : 7, COLUMNS, at); break;  \
    case 8: BLOCK(TENSOR_ROWS < 8 ? 3 : 8, COLUMNS, at); break;  \
    case 9: BLOCK(TENSOR_ROWS < 9 ? 3 : 9, COLUMNS, at); break;  \
    case 10: BLOCK(TENSOR_ROWS < 10 ? 3 : 10, COLUMNS, at); break; \
    case 11: BLOCK(TENSOR_ROWS < 11 ? 3 : 11, COLUMNS, at); break; \
    default: BLOCK(TENSOR_ROWS, COLUMNS, at); break;      \
  }

// The last panel may have no more outputs than one vector holds.
#define FOR_BLOCKS(BLOCK, rows, at)                                                 \
  if (VECTORS > 1 && (at)->call->outputs - (at)->output <= LANES) {                 \
    FOR_ROWS(BLOCK, 1, rows, at)                                                    \
  } else {                                                                          \
    FOR_ROWS(BLOCK, VECTORS, rows, at)                                              \
  }

static void blocks_f32(int rows, const block_place *at) { FOR_BLOCKS(block_f32, rows, at) }
static void blocks_bf16(int rows, const block_place *at) { FOR_BLOCKS(block_bf16, rows, at) }
static void blocks_i8(int rows, const block_place *at) { FOR_ROWS(block_i8, VECTORS, rows, at) }

// Rounds each row to bytes between its smallest and largest number, which enclose 0.
static void quantize_rows(const roost_linear *call, uint8_t *bytes, float *scales, int32_t *zeros) {
  const size_t groups = groups_of(call->inputs);
  for (size_t row = 0; row < call->rows; row++) {
    const float *x = call->x + row * call->x_stride;
    uint8_t *to = bytes + row * groups * 4;
    float low = 0, high = 0;
    for (size_t i = 0; i < call->inputs; i++) {
      low = x[i] < low ? x[i] : low;
      high = x[i] > high ? x[i] : high;
    }
    // Infinite, or nothing but zeros: the row counts as zeros. So does what is not a number.
    const float range = high - low;
    const float scale = range > 0 && range < INFINITY ? range / 255.0f : 0;
    const float inverse = scale > 0 ? 1.0f / scale : 0;
    const float magic = 12582912.0f;
    const float zero = (-low * inverse + magic) - magic;
    scales[row] = scale;
    zeros[row] = scale > 0 ? (int32_t)zero : 0;
    for (size_t i = 0; i < call->inputs; i++) {
      float level = (x[i] * inverse + magic) - magic + zero;
      level = level > 255.0f ? 255.0f : level >= 0.0f ? level : 0.0f;
      to[i] = (uint8_t)(int32_t)level;
    }
    memset(to + call->inputs, 0, groups * 4 - call->inputs);
  }
}

// Weights of this many bytes stay in the second-level cache while rows go by.
enum { WEIGHTS_NEAR_BYTES = 256 << 10 };

typedef struct {
  void (*blocks)(int, const block_place *);
  size_t panel_bytes, column_bytes;
} weight_format;

static weight_format format_of(int weights, size_t inputs) {
  switch (weights) {
    case ROOST_WEIGHTS_F32: return (weight_format){blocks_f32, inputs * ROOST_PANEL * 4, 4};
    case ROOST_WEIGHTS_BF16: return (weight_format){blocks_bf16, inputs * ROOST_PANEL * 2, 2};
    default:
      return (weight_format){blocks_i8, ROOST_PANEL * 8 + groups_of(inputs) * ROOST_PANEL * 4, 4};
  }
}

INLINE void run_rows(const weight_format *format, block_place *at, size_t output, size_t from, size_t to) {
  at->output = output;
  at->panel = (const char *)at->call->packed + output / ROOST_PANEL * format->panel_bytes +
              output % ROOST_PANEL * format->column_bytes;
  for (at->row = from; at->row < to; at->row += TENSOR_ROWS) {
    const size_t left = to - at->row;
    format->blocks(left < TENSOR_ROWS ? (int)left : TENSOR_ROWS, at);
  }
}

static void linear(const roost_linear *call) {
  const weight_format format = format_of(call->weights, call->inputs);
  block_place at = {.call = call, .runs = 1, .run_inputs = call->inputs};
  if (call->weights == ROOST_WEIGHTS_I8) {
    float *scales = call->scratch;
    int32_t *zeros = (int32_t *)(scales + (call->rows + 15) / 16 * 16);
    uint8_t *bytes = (uint8_t *)(zeros + (call->rows + 15) / 16 * 16);
    quantize_rows(call, bytes, scales, zeros);
    at.quantized = bytes;
    at.scales = scales;
    at.zeros = zeros;
  }
  if ((call->outputs + ROOST_PANEL - 1) / ROOST_PANEL * format.panel_bytes <= WEIGHTS_NEAR_BYTES) {
    // A block of rows after the other, so that results are written in the order of memory.
    for (size_t row = 0; row < call->rows; row += TENSOR_ROWS)
      for (size_t output = 0; output < call->outputs; output += TENSOR_COLUMNS)
        run_rows(&format, &at, output, row, row + TENSOR_ROWS < call->rows ? row + TENSOR_ROWS : call->rows);
  } else {
    for (size_t output = 0; output < call->outputs; output += TENSOR_COLUMNS)
      run_rows(&format, &at, output, 0, call->rows);
  }
}

// Convolutions: a row of outputs is a linear layer whose inputs lie in runs, one for each row of the filter.

static void convolve(const roost_convolution *call) {
  const size_t channels = call->channels;
  const float *x = call->x;
  size_t width = call->width;
  if (call->scratch) {
    // The image with zeros around it.
    width = call->padded_width;
    float *padded = call->scratch;
    memset(padded, 0, call->padded_height * width * channels * sizeof(float));
    size_t columns = width > call->pad_left ? width - call->pad_left : 0;
    if (columns > call->width) columns = call->width;
    for (size_t row = 0; row < call->height && row + call->pad_top < call->padded_height; row++)
      memcpy(padded + ((row + call->pad_top) * width + call->pad_left) * channels,
             x + row * call->width * channels, columns * channels * sizeof(float));
    x = padded;
  }
  const size_t inputs = call->kernel_height * call->kernel_width * channels;
  const weight_format format = format_of(call->weights, inputs);
  roost_linear row = {.weights = call->weights,
                      .activation = call->activation,
                      .rows = call->out_width,
                      .inputs = inputs,
                      .outputs = call->outputs,
                      .x_stride = call->stride * channels,
                      .packed = call->packed,
                      .bias = call->bias,
                      .y_stride = call->outputs};
  block_place at = {.call = &row,
                    .runs = call->kernel_height,
                    .run_inputs = call->kernel_width * channels,
                    .run_step = width * channels};
  const size_t weight_bytes = (call->outputs + ROOST_PANEL - 1) / ROOST_PANEL * format.panel_bytes;
  // Panels inside rows, or rows inside panels.
  const size_t outputs_at_once = weight_bytes <= WEIGHTS_NEAR_BYTES ? call->outputs : TENSOR_COLUMNS;
  for (size_t first = 0; first < call->outputs; first += outputs_at_once)
    for (size_t i = 0; i < call->out_height; i++) {
      row.x = x + i * call->stride * width * channels;
      row.y = call->y + i * call->out_width * call->outputs;
      const size_t end = first + outputs_at_once < call->outputs ? first + outputs_at_once : call->outputs;
      for (size_t output = first; output < end; output += TENSOR_COLUMNS)
        run_rows(&format, &at, output, 0, call->out_width);
    }
}

#include "tensor_depthwise.h"

static const roost_tensor_kernel kernel = {linear, convolve, depthwise, activate, softmax, layer_norm, add};
