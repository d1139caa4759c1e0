#ifndef ROOST_TENSOR_H
#define ROOST_TENSOR_H
#include <stddef.h>
#include <stdint.h>

// Dense arithmetic of small neural networks on f32 tensors, row by row in memory, images with the channels
// last. Weights are packed once: panels of 32 outputs, so that one sweep over a panel serves a block of rows.

#pragma clang assume_nonnull begin

enum { ROOST_PANEL = 32 };

enum roost_weights {
  ROOST_WEIGHTS_F32 = 1,
  ROOST_WEIGHTS_BF16 = 2,  // rounded to nearest even; sums are f32
  ROOST_WEIGHTS_I8 = 3     // a scale per output; inputs are rounded to 8 bits, row by row
};

enum roost_activation {
  ROOST_IDENTITY = 0,
  ROOST_RELU = 1,
  ROOST_RELU6 = 2,
  ROOST_GELU = 3,     // x (1 + erf(x / sqrt 2)) / 2, erf within 1.5e-7 (Abramowitz and Stegun 7.1.26)
  ROOST_SIGMOID = 4,
  ROOST_TANH = 5
};

// Bytes of packed weights for `inputs` x `outputs`, and of the scratch that `rows` rows need with them.
size_t roost_packed_bytes(int weights, size_t inputs, size_t outputs);
size_t roost_linear_scratch_bytes(int weights, size_t inputs, size_t rows);
// Packs `matrix`: element (input, output) at input * input_step + output * output_step.
void roost_pack(int weights, const float *matrix, size_t inputs, size_t outputs, size_t input_step,
                size_t output_step, void *packed);

// y[rows x outputs] = activation(x[rows x inputs] * weights + bias)
typedef struct {
  int weights;
  int activation;
  size_t rows, inputs, outputs;
  const float *x;
  size_t x_stride;  // floats from row to row
  const void *packed;
  const float *_Nullable bias;
  float *y;
  size_t y_stride;
  void *_Nullable scratch;  // 64-aligned; roost_linear_scratch_bytes
} roost_linear;

// A convolution with f32 or bf16 weights; its inputs are ordered by row of the filter, column, channel.
// x is [height x width x channels], y [out_height x out_width x outputs].
typedef struct {
  int weights;
  int activation;
  size_t height, width, channels, outputs;
  size_t kernel_height, kernel_width, stride, pad_top, pad_left;
  size_t out_height, out_width;
  const float *x;
  const void *packed;
  const float *_Nullable bias;
  float *y;
  // Room for the image with the zeros around it that windows reach; null when they reach none.
  void *_Nullable scratch;
  size_t padded_height, padded_width;
} roost_convolution;

// One filter per channel. x is [height x width x channels], y [out_height x out_width x channels].
typedef struct {
  int activation;
  size_t height, width, channels;
  size_t kernel_height, kernel_width, stride, pad_top, pad_left;
  size_t out_height, out_width;
  const float *x;
  const float *filter;  // [kernel_height x kernel_width x channels]
  const float *_Nullable bias;
  float *y;
} roost_depthwise;

typedef struct {
  void (*linear)(const roost_linear *call);
  void (*convolve)(const roost_convolution *call);
  void (*depthwise)(const roost_depthwise *call);
  void (*activate)(int activation, float *x, size_t count);
  // Each row of `width` floats becomes its softmax.
  void (*softmax)(float *x, size_t rows, size_t width);
  // y may be x. A row without variance becomes `beta`.
  void (*layer_norm)(const float *x, size_t rows, size_t width, const float *gamma, const float *beta,
                     float epsilon, float *y);
  void (*add)(const float *x, float *y, size_t count);  // y += x
} roost_tensor_kernel;

// The kernels at an available level (see distance.h); portable when the level is not available.
const roost_tensor_kernel *roost_tensor_kernel_at(int level);

#pragma clang assume_nonnull end
#endif
