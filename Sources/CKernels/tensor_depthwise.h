// Depthwise convolutions in the vectors of one level; a part of tensor_body.h.

// The sum for one output of up to 16 channels, over the part of the filter that lies on the image.
INLINE void depthwise_edge(const roost_depthwise *call, size_t channel, size_t count, size_t row,
                           size_t column, floats *sum) {
  for (size_t i = 0; i < call->kernel_height; i++) {
    const size_t y = row * call->stride + i - call->pad_top;
    if (y >= call->height) continue;  // also when it wrapped below zero
    for (size_t j = 0; j < call->kernel_width; j++) {
      const size_t x = column * call->stride + j - call->pad_left;
      if (x >= call->width) continue;
      const float *value = call->x + (y * call->width + x) * call->channels + channel;
      const float *weight = call->filter + (i * call->kernel_width + j) * call->channels + channel;
      if (count == LANES) {
        *sum += *(const floats *)value * *(const floats *)weight;
      } else {
        floats values, weights;
        load_part(&values, value, count);
        load_part(&weights, weight, count);
        *sum += values * weights;
      }
    }
  }
}

enum { DEPTHWISE_TILE = 4 };

// TILE neighbouring outputs of sixteen channels with a filter of three columns. STEP is the stride. `rows` rows
// of the filter lie on the image; `x` and `weights` begin with the first of them.
INLINE void depthwise_tile(const int TILE, const int STEP, const roost_depthwise *call, int rows,
                           const floats *weights, const float *x, const floats *bias, float *to) {
  floats sums[DEPTHWISE_TILE];
  for (int t = 0; t < TILE; t++) sums[t] = *bias;
  for (int i = 0; i < rows; i++, x += call->width * call->channels) {
    floats columns[(DEPTHWISE_TILE - 1) * 2 + 3];
    for (int j = 0; j < (TILE - 1) * STEP + 3; j++)
      columns[j] = *(const floats *)(x + (size_t)j * call->channels);
    for (int t = 0; t < TILE; t++)
      for (int j = 0; j < 3; j++) sums[t] += columns[t * STEP + j] * weights[i * 3 + j];
  }
  for (int t = 0; t < TILE; t++) {
    apply(call->activation, &sums[t]);
    *(floats *)(to + (size_t)t * call->channels) = sums[t];
  }
}

// A row of outputs of sixteen channels, those columns whose whole window lies on the image.
INLINE void depthwise_inside(const int STEP, const roost_depthwise *call, int rows, const floats *weights,
                             const float *x, const floats *bias, float *to, size_t count) {
  const size_t x_step = (size_t)STEP * call->channels;
  size_t column = 0;
  for (; column + DEPTHWISE_TILE <= count; column += DEPTHWISE_TILE)
    depthwise_tile(DEPTHWISE_TILE, STEP, call, rows, weights, x + column * x_step, bias,
                   to + column * call->channels);
  for (; column < count; column++)
    depthwise_tile(1, STEP, call, rows, weights, x + column * x_step, bias, to + column * call->channels);
}

static void depthwise_edges(const roost_depthwise *call, size_t channel, size_t count, size_t row,
                            size_t from, size_t to, const floats *bias) {
  for (size_t column = from; column < to; column++) {
    floats sum = *bias;
    depthwise_edge(call, channel, count, row, column, &sum);
    apply(call->activation, &sum);
    float *y = call->y + (row * call->out_width + column) * call->channels + channel;
    if (count == LANES) {
      *(floats *)y = sum;
    } else {
      store_part(y, &sum, count);
    }
  }
}

static void depthwise_row(const roost_depthwise *call, size_t row, size_t channel) {
  // Outputs whose columns all lie on the image: first ... last - 1.
  const size_t first = (call->pad_left + call->stride - 1) / call->stride;
  size_t last = call->width + call->pad_left >= 3 ? (call->width + call->pad_left - 3) / call->stride + 1 : 0;
  last = last > call->out_width ? call->out_width : last;
  floats bias = {0};
  if (call->bias) bias = *(const floats *)(call->bias + channel);
  if (first >= last) return depthwise_edges(call, channel, LANES, row, 0, call->out_width, &bias);
  // Rows of the filter that lie on the image.
  const size_t top = row * call->stride;
  size_t skipped = top < call->pad_top ? call->pad_top - top : 0;
  size_t end = call->height + call->pad_top > top ? call->height + call->pad_top - top : 0;
  end = end > 3 ? 3 : end;
  skipped = skipped > end ? end : skipped;
  floats weights[9];
  for (size_t i = 0; i < 9; i++) weights[i] = *(const floats *)(call->filter + i * call->channels + channel);
  const size_t y = top + skipped - call->pad_top;
  const size_t left = first * call->stride - call->pad_left;
  const float *x = call->x + (y * call->width + left) * call->channels + channel;
  float *to = call->y + (row * call->out_width + first) * call->channels + channel;
  depthwise_edges(call, channel, LANES, row, 0, first, &bias);
  if (end - skipped == 3 && call->stride == 1) {
    depthwise_inside(1, call, 3, weights, x, &bias, to, last - first);
  } else if (end - skipped == 3) {
    depthwise_inside(2, call, 3, weights, x, &bias, to, last - first);
  } else if (call->stride == 1) {
    depthwise_inside(1, call, (int)(end - skipped), weights + skipped * 3, x, &bias, to, last - first);
  } else {
    depthwise_inside(2, call, (int)(end - skipped), weights + skipped * 3, x, &bias, to, last - first);
  }
  depthwise_edges(call, channel, LANES, row, last, call->out_width, &bias);
}

static void depthwise(const roost_depthwise *call) {
  const int is_small = call->kernel_height == 3 && call->kernel_width == 3 && call->stride <= 2;
  for (size_t row = 0; row < call->out_height; row++) {
    size_t channel = 0;
    if (is_small)
      for (; channel + LANES <= call->channels; channel += LANES) depthwise_row(call, row, channel);
    for (; channel < call->channels; channel += LANES) {
      const size_t count = call->channels - channel < LANES ? call->channels - channel : LANES;
      floats bias = {0};
      if (call->bias) load_part(&bias, call->bias + channel, count);
      depthwise_edges(call, channel, count, row, 0, call->out_width, &bias);
    }
  }
}
