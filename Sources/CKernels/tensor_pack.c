// Packs weights for the tensor kernels, and chooses the kernels that this CPU can run.
#include "distance.h"
#include "tensor_levels.h"
#include <math.h>

static size_t panels_of(size_t outputs) { return (outputs + ROOST_PANEL - 1) / ROOST_PANEL; }
static size_t groups_of(size_t inputs) { return (inputs + 3) / 4; }

size_t roost_packed_bytes(int weights, size_t inputs, size_t outputs) {
  const size_t panels = panels_of(outputs);
  switch (weights) {
    case ROOST_WEIGHTS_F32: return panels * inputs * ROOST_PANEL * 4;
    case ROOST_WEIGHTS_BF16: return panels * inputs * ROOST_PANEL * 2;
    default: return panels * (ROOST_PANEL * 8 + groups_of(inputs) * ROOST_PANEL * 4);
  }
}

size_t roost_linear_scratch_bytes(int weights, size_t inputs, size_t rows) {
  return weights == ROOST_WEIGHTS_I8 ? (rows + 15) / 16 * 128 + rows * groups_of(inputs) * 4 : 0;
}

static uint16_t bf16_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void pack_column_i8(const float *column, size_t inputs, size_t step, char *panel, size_t lane) {
  float largest = 0;
  for (size_t i = 0; i < inputs; i++) {
    const float size = fabsf(column[i * step]);
    largest = size > largest ? size : largest;
  }
  const float scale = largest > 0 && largest < INFINITY ? largest / 127.0f : 0;
  const float inverse = scale > 0 ? 1.0f / scale : 0;
  int8_t *levels = (int8_t *)panel + ROOST_PANEL * 8 + lane * 4;
  int32_t sum = 0;
  for (size_t i = 0; i < inputs; i++) {
    float level = rintf(column[i * step] * inverse);
    level = level > 127.0f ? 127.0f : level >= -127.0f ? level : -127.0f;
    levels[i / 4 * ROOST_PANEL * 4 + i % 4] = (int8_t)level;
    sum += (int32_t)level;
  }
  ((float *)panel)[lane] = scale;
  ((int32_t *)panel)[ROOST_PANEL + lane] = sum;
}

void roost_pack(int weights, const float *matrix, size_t inputs, size_t outputs, size_t input_step,
                size_t output_step, void *packed) {
  __builtin_memset(packed, 0, roost_packed_bytes(weights, inputs, outputs));
  const size_t panel_bytes = roost_packed_bytes(weights, inputs, 1);
  for (size_t output = 0; output < outputs; output++) {
    char *panel = (char *)packed + output / ROOST_PANEL * panel_bytes;
    const size_t lane = output % ROOST_PANEL;
    const float *column = matrix + output * output_step;
    switch (weights) {
      case ROOST_WEIGHTS_F32:
        for (size_t i = 0; i < inputs; i++)
          ((float *)panel)[i * ROOST_PANEL + lane] = column[i * input_step];
        break;
      case ROOST_WEIGHTS_BF16:
        for (size_t i = 0; i < inputs; i++)
          ((uint16_t *)panel)[i * ROOST_PANEL + lane] = bf16_of(column[i * input_step]);
        break;
      default: pack_column_i8(column, inputs, input_step, panel, lane);
    }
  }
}

const roost_tensor_kernel *roost_tensor_kernel_at(int level) {
  if (!roost_level_available(level)) level = ROOST_PORTABLE;
#if defined(__x86_64__)
  if (level >= ROOST_AVX512) return roost_tensor_avx512();
  if (level == ROOST_AVX2) return roost_tensor_avx2();
#endif
  return roost_tensor_portable();
}
