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

INLINE void clamp(floats *x, float low, float high) {
  const floats lows = *x * 0.0f + low, highs = *x * 0.0f + high;
  ints below = *x < low, above = *x > high;
  select_floats(&below, &lows, x, x);
  select_floats(&above, &highs, x, x);
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
  const uint8_t *quantized;  // I8: rows of `groups * 4` bytes
  const float *scales;       // I8: what a step is worth in each row
  const int32_t *zeros;      // I8: the byte that stands for 0 in each row
} block_place;

INLINE size_t groups_of(size_t inputs) { return (inputs + 3) / 4; }

INLINE void finish_block(const int ROWS, const block_place *at, floats sums[][VECTORS]) {
  const roost_linear *call = at->call;
  for (int v = 0; v < VECTORS; v++) {
    const size_t first = at->output + (size_t)v * LANES;
    if (first >= call->outputs) return;
    const size_t count = call->outputs - first < LANES ? call->outputs - first : LANES;
    floats bias = {0};
    if (call->bias) load_part(&bias, call->bias + first, count);
    for (int r = 0; r < ROWS; r++) {
      floats value = sums[r][v] + bias;
      apply(call->activation, &value);
      float *to = call->y + (at->row + (size_t)r) * call->y_stride + first;
      if (count == LANES) {
        *(floats *)to = value;
      } else {
        store_part(to, &value, count);
      }
    }
  }
}

INLINE void block_f32(const int ROWS, const block_place *at) {
  const roost_linear *call = at->call;
  const float *x = call->x + at->row * call->x_stride;
  const float *weights = (const float *)at->panel;
  floats sums[TENSOR_ROWS][VECTORS] = {0};
  for (size_t i = 0; i < call->inputs; i++, weights += ROOST_PANEL) {
    floats w[VECTORS];
    for (int v = 0; v < VECTORS; v++) w[v] = *(const floats *)(weights + v * LANES);
#pragma clang loop unroll(full)
    for (int r = 0; r < ROWS; r++) {
      const float factor = x[(size_t)r * call->x_stride + i];
      for (int v = 0; v < VECTORS; v++) sums[r][v] += w[v] * factor;
    }
  }
  finish_block(ROWS, at, sums);
}

INLINE void block_bf16(const int ROWS, const block_place *at) {
  const roost_linear *call = at->call;
  const float *x = call->x + at->row * call->x_stride;
  const uint16_t *weights = (const uint16_t *)at->panel;
  floats sums[TENSOR_ROWS][VECTORS] = {0};
  for (size_t i = 0; i < call->inputs; i++, weights += ROOST_PANEL) {
    floats w[VECTORS];
    for (int v = 0; v < VECTORS; v++)
      w[v] = (floats)(__builtin_convertvector(*(const halves *)(weights + v * LANES), ints) << 16);
#pragma clang loop unroll(full)
    for (int r = 0; r < ROWS; r++) {
      const float factor = x[(size_t)r * call->x_stride + i];
      for (int v = 0; v < VECTORS; v++) sums[r][v] += w[v] * factor;
    }
  }
  finish_block(ROWS, at, sums);
}

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

INLINE void block_i8(const int ROWS, const block_place *at) {
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
  finish_block(ROWS, at, values);
}

// Calls BLOCK with a constant number of rows, so that its accumulators become registers.
#define FOR_ROWS(BLOCK, rows, at)                \
  switch (rows) {                                \
    case 1: BLOCK(1, at); break;                 \
    case 2: BLOCK(2, at); break;                 \
    case 3: BLOCK(3, at); break;                 \
    case 4: BLOCK(TENSOR_ROWS < 4 ? 3 : 4, at); break;  \
    case 5: BLOCK(TENSOR_ROWS < 5 ? 3 : 5, at); break;  \
    case 6: BLOCK(TENSOR_ROWS < 6 ? 3 : 6, at); break;  \
    case 7: BLOCK(TENSOR_ROWS < 7 ? 3 : 7, at); break;  \
    case 8: BLOCK(TENSOR_ROWS < 8 ? 3 : 8, at); break;  \
    case 9: BLOCK(TENSOR_ROWS < 9 ? 3 : 9, at); break;  \
    case 10: BLOCK(TENSOR_ROWS < 10 ? 3 : 10, at); break; \
    case 11: BLOCK(TENSOR_ROWS < 11 ? 3 : 11, at); break; \
    default: BLOCK(TENSOR_ROWS, at); break;      \
  }

static void blocks_f32(int rows, const block_place *at) { FOR_ROWS(block_f32, rows, at) }
static void blocks_bf16(int rows, const block_place *at) { FOR_ROWS(block_bf16, rows, at) }
static void blocks_i8(int rows, const block_place *at) { FOR_ROWS(block_i8, rows, at) }

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

static void linear(const roost_linear *call) {
  block_place at = {.call = call};
  size_t panel_bytes, column_bytes;
  void (*blocks)(int, const block_place *);
  switch (call->weights) {
    case ROOST_WEIGHTS_F32:
      blocks = blocks_f32;
      column_bytes = 4;
      panel_bytes = call->inputs * ROOST_PANEL * 4;
      break;
    case ROOST_WEIGHTS_BF16:
      blocks = blocks_bf16;
      column_bytes = 2;
      panel_bytes = call->inputs * ROOST_PANEL * 2;
      break;
    default: {
      float *scales = call->scratch;
      int32_t *zeros = (int32_t *)(scales + (call->rows + 15) / 16 * 16);
      uint8_t *bytes = (uint8_t *)(zeros + (call->rows + 15) / 16 * 16);
      quantize_rows(call, bytes, scales, zeros);
      at.quantized = bytes;
      at.scales = scales;
      at.zeros = zeros;
      blocks = blocks_i8;
      column_bytes = 4;
      panel_bytes = ROOST_PANEL * 8 + groups_of(call->inputs) * ROOST_PANEL * 4;
    }
  }
  for (size_t output = 0; output < call->outputs; output += TENSOR_COLUMNS) {
    at.output = output;
    at.panel = (const char *)call->packed + output / ROOST_PANEL * panel_bytes +
               output % ROOST_PANEL * column_bytes;
    for (at.row = 0; at.row < call->rows; at.row += TENSOR_ROWS) {
      const size_t left = call->rows - at.row;
      blocks(left < TENSOR_ROWS ? (int)left : TENSOR_ROWS, &at);
    }
  }
}

// Depthwise convolutions.

// The sum for one output of up to 16 channels, over the part of the filter that lies on the image.
INLINE void depthwise_edge(const roost_depthwise *call, size_t channel, size_t count, size_t row,
                           size_t column, floats *sum) {
  for (size_t i = 0; i < call->kernel_height; i++) {
    const size_t y = row * call->stride + i - call->pad_top;
    if (y >= call->height) continue;  // also when it wrapped below zero
    for (size_t j = 0; j < call->kernel_width; j++) {
      const size_t x = column * call->stride + j - call->pad_left;
      if (x >= call->width) continue;
      floats value, weight;
      load_part(&value, call->x + (y * call->width + x) * call->channels + channel, count);
      load_part(&weight, call->filter + (i * call->kernel_width + j) * call->channels + channel, count);
      *sum += value * weight;
    }
  }
}

// Sixteen channels of a 3 x 3 filter, whose weights stay in registers.
INLINE void depthwise_inside(const roost_depthwise *call, const floats weights[9], const float *x,
                             floats *sum) {
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      *sum += *(const floats *)(x + ((size_t)i * call->width + (size_t)j) * call->channels) *
              weights[i * 3 + j];
}

static void depthwise_channels(const roost_depthwise *call, size_t channel, size_t count) {
  const int is_small = call->kernel_height == 3 && call->kernel_width == 3 && count == LANES;
  floats weights[9], bias = {0};
  if (is_small)
    for (size_t i = 0; i < 9; i++) weights[i] = *(const floats *)(call->filter + i * call->channels + channel);
  if (call->bias) load_part(&bias, call->bias + channel, count);
  for (size_t row = 0; row < call->out_height; row++) {
    const size_t top = row * call->stride - call->pad_top;
    const int is_row_inside = top < call->height && top + 2 < call->height;
    for (size_t column = 0; column < call->out_width; column++) {
      const size_t left = column * call->stride - call->pad_left;
      floats sum = bias;
      if (is_small && is_row_inside && left < call->width && left + 2 < call->width) {
        depthwise_inside(call, weights, call->x + (top * call->width + left) * call->channels + channel, &sum);
      } else {
        depthwise_edge(call, channel, count, row, column, &sum);
      }
      apply(call->activation, &sum);
      float *to = call->y + (row * call->out_width + column) * call->channels + channel;
      if (count == LANES) {
        *(floats *)to = sum;
      } else {
        store_part(to, &sum, count);
      }
    }
  }
}

static void depthwise(const roost_depthwise *call) {
  size_t channel = 0;
  for (; channel + LANES <= call->channels; channel += LANES) depthwise_channels(call, channel, LANES);
  if (channel < call->channels) depthwise_channels(call, channel, call->channels - channel);
}

static const roost_tensor_kernel kernel = {linear, depthwise, activate, softmax, layer_norm, add};
