// Steps for convolutions and pooling. Images are kept with their channels last.

extension Plan {
  func emitImage(_ operation: Operation) throws(GuestError) {
    if operation.type == .batchNormalization { return try emitNormalization(operation) }
    guard values[try input(operation, 0)].shape.count == 4, values[try input(operation, 0)].isFloat else {
      throw operation.refused(" takes something other than an image with four dimensions")
    }
    let x = try channelsLast(try input(operation, 0))
    switch operation.type {
    case .conv: try emitConvolution(operation, x)
    case .globalAveragePool, .globalMaxPool:
      let shape = values[x].shape
      let window = ImageWindow(
        height: shape[2], width: shape[3], channels: shape[1], filterHeight: shape[2], filterWidth: shape[3],
        stride: 1, padTop: 0, padLeft: 0, outHeight: 1, outWidth: 1)
      try emitPool(operation, x, window)
    default:
      guard let filter = operation.ints("kernel_shape"), filter.count == 2 else {
        throw operation.refused(" has no window of two sizes")
      }
      try emitPool(operation, x, try window(operation, values[x].shape, filter: filter))
    }
  }

  /// The window of a convolution or pooling over an image of `shape`.
  private func window(_ operation: Operation, _ shape: [Int], filter: [Int]) throws(GuestError) -> ImageWindow
  {
    let strides = operation.ints("strides") ?? [1, 1]
    let dilations = operation.ints("dilations") ?? [1, 1]
    guard strides.count == 2, strides[0] == strides[1], strides[0] > 0, strides[0] <= 1024 else {
      throw operation.refused(" has strides that differ, which is not supported")
    }
    guard dilations.count == 2, dilations.allSatisfy({ (1...64).contains($0) }),
      filter.allSatisfy({ (1...1024).contains($0) })
    else { throw operation.refused(" has a window that is too large") }
    let size = [(filter[0] - 1) * dilations[0] + 1, (filter[1] - 1) * dilations[1] + 1]
    let image = [shape[2], shape[3]]
    var pads = operation.ints("pads") ?? [0, 0, 0, 0]
    guard pads.count == 4, pads.allSatisfy({ (0...1024).contains($0) }) else {
      throw operation.refused(" has padding that is not supported")
    }
    var out = [0, 0]
    let automatic = operation.node.attribute("auto_pad")?.string ?? Bytes("NOTSET")
    let isSame = automatic.equals("SAME_UPPER") || automatic.equals("SAME_LOWER")
    if automatic.equals("VALID") { pads = [0, 0, 0, 0] }
    for side in 0..<2 {
      if isSame {
        out[side] = (image[side] + strides[0] - 1) / strides[0]
        let needed = max(0, (out[side] - 1) * strides[0] + size[side] - image[side])
        pads[side] = automatic.equals("SAME_UPPER") ? needed / 2 : (needed + 1) / 2
        continue
      }
      let room = image[side] + pads[side] + pads[side + 2] - size[side]
      guard room >= 0 else { throw operation.refused(" has a window larger than the image") }
      out[side] = room / strides[0] + 1
      // Rounded up, but no window may begin behind the image and its padding above.
      if operation.int("ceil_mode", 0) == 1, room % strides[0] != 0,
        out[side] * strides[0] < image[side] + pads[side]
      {
        out[side] += 1
      }
    }
    return ImageWindow(
      height: shape[2], width: shape[3], channels: shape[1], filterHeight: size[0], filterWidth: size[1],
      stride: strides[0], padTop: pads[0], padLeft: pads[1], outHeight: out[0], outWidth: out[1])
  }

  private func emitPool(_ operation: Operation, _ x: Int, _ window: ImageWindow) throws(GuestError) {
    guard operation.outputs.count == 1 || operation.outputs.dropFirst().allSatisfy({ $0 < 0 }) else {
      throw operation.refused(" has a second result, which is not supported")
    }
    let isMean = operation.type == .averagePool || operation.type == .globalAveragePool
    if let dilations = operation.ints("dilations"), dilations.contains(where: { $0 != 1 }) {
      throw operation.refused(" has dilations, which are not supported")
    }
    let isPadded =
      window.padTop > 0 || window.padLeft > 0 || (operation.ints("pads") ?? []).contains { $0 > 0 }
    if isMean, isPadded, operation.int("count_include_pad", 0) == 1 {
      return try emitPaddedMean(operation, x, window)
    }
    let y = operation.outputs[0]
    let batch = values[x].shape[0]
    let sizes = (
      window.height * window.width * window.channels, window.outHeight * window.outWidth * window.channels
    )
    try add([x], y, shape: [batch, window.channels, window.outHeight, window.outWidth], isChannelsLast: true)
    {
      (at) throws(GuestError) in
      for image in 0..<batch {
        Tensor.pool(
          isMean ? .mean : .largest, at.floats(x) + image * sizes.0, window,
          into: at.floats(y) + image * sizes.1)
      }
    }
  }

  /// A mean that counts the padding as zeros is a convolution with equal weights.
  private func emitPaddedMean(_ operation: Operation, _ x: Int, _ window: ImageWindow) throws(GuestError) {
    guard operation.int("ceil_mode", 0) == 0 else {
      throw operation.refused(" with padding that counts and rounding up is not supported")
    }
    let taps = window.filterHeight * window.filterWidth
    let filter = Constant(
      shape: [taps * window.channels],
      floats: [Float](repeating: 1 / Float(taps), count: taps * window.channels))
    let layer = operation.depthwise ?? Depthwise(filter: filter.floats, bias: nil)
    if operation.depthwise == nil { (operation.depthwise, operation.kept) = (layer, filter) }
    try emitDepthwise(operation, x, window, layer)
  }

  private func emitDepthwise(
    _ operation: Operation, _ x: Int, _ window: ImageWindow, _ layer: Depthwise
  ) throws(GuestError) {
    let (y, batch, activation) = (operation.outputs[0], values[x].shape[0], operation.activation)
    let sizes = (
      window.height * window.width * window.channels, window.outHeight * window.outWidth * window.channels
    )
    try add([x], y, shape: [batch, window.channels, window.outHeight, window.outWidth], isChannelsLast: true)
    {
      (at) throws(GuestError) in
      for image in 0..<batch {
        layer.apply(
          at.floats(x) + image * sizes.0, window, activation: activation, into: at.floats(y) + image * sizes.1
        )
      }
    }
  }

  // MARK: Convolutions

  private func emitConvolution(_ operation: Operation, _ x: Int) throws(GuestError) {
    guard let weights = values[try input(operation, 1)].constant, weights.shape.count == 4 else {
      throw operation.refused(" has a filter that is not a constant with four dimensions")
    }
    var bias: Constant?
    if let id = optionalInput(operation, 2) {
      guard let constant = values[id].constant else {
        throw operation.refused(" has a bias that is not a constant")
      }
      bias = constant
    }
    let shape = values[x].shape
    let (outputs, groups) = (weights.shape[0], operation.int("group", 1))
    guard groups > 0, weights.shape[1] * groups == shape[1], outputs % groups == 0,
      bias.map({ $0.count == outputs }) ?? true
    else { throw operation.refused(" has a filter that does not fit its image") }
    let window = try window(operation, shape, filter: [weights.shape[2], weights.shape[3]])
    let filter = ConvolutionFilter(
      weights: weights, bias: bias, groups: groups, normalization: operation.normalization,
      dilations: operation.ints("dilations") ?? [1, 1])
    if groups == shape[1] && outputs == groups {
      let layer = operation.depthwise ?? filter.depthwise()
      if operation.depthwise == nil { (operation.depthwise, operation.kept) = (layer, filter.bias) }
      return try emitDepthwise(operation, x, window, layer)
    }
    let (y, batch, activation) = (operation.outputs[0], shape[0], operation.activation)
    let sizes = (window.height * window.width * window.channels, window.outHeight * window.outWidth * outputs)
    guard window.filterHeight * window.filterWidth * window.channels <= 65_536 else {
      throw operation.refused(" has a filter that is too large")
    }
    try add([x], y, shape: [batch, outputs, window.outHeight, window.outWidth], isChannelsLast: true) {
      (at) throws(GuestError) in
      let layer = operation.layer ?? filter.layer()
      if operation.layer == nil { (operation.layer, operation.kept) = (layer, filter.bias) }
      for image in 0..<batch {
        layer.convolve(
          at.floats(x) + image * sizes.0, window, activation: activation, into: at.floats(y) + image * sizes.1
        )
      }
    }
  }

  /// A batch normalization that was not part of a convolution: a factor and a summand for each channel.
  private func emitNormalization(_ operation: Operation) throws(GuestError) {
    var id = try input(operation, 0)
    var parts: [Constant] = []
    for index in 1...4 {
      guard let constant = values[try input(operation, index)].constant else {
        throw operation.refused(" has parameters that are not constants")
      }
      parts.append(constant)
    }
    let shape = values[id].shape
    guard shape.count >= 2, parts.allSatisfy({ $0.count == shape[1] }) else {
      throw operation.refused(" has parameters that do not fit its input")
    }
    if shape.count == 4 { id = try channelsLast(id) }
    let channels = shape[1]
    let (factors, summands) = normalizationFactors(parts, operation.float("epsilon", 1e-5))
    let (x, y, count) = (id, operation.outputs[0], elementCount(shape))
    let step = shape.count == 4 ? 1 : elementCount(Array(shape[2...]))
    try add([x], y, shape: shape, isChannelsLast: shape.count == 4) { (at) throws(GuestError) in
      let (from, to) = (at.floats(x), at.floats(y))
      var channel = 0
      for first in stride(from: 0, to: count, by: step) {
        for index in first..<first + step { to[index] = from[index] * factors[channel] + summands[channel] }
        channel = channel + 1 == channels ? 0 : channel + 1
      }
    }
  }
}

func normalizationFactors(_ parts: [Constant], _ epsilon: Float) -> (factors: [Float], summands: [Float]) {
  var (factors, summands): ([Float], [Float]) = ([], [])
  for channel in 0..<parts[0].count {
    let factor = parts[0].float(channel) / (parts[3].float(channel) + epsilon).squareRoot()
    factors.append(factor)
    summands.append(parts[1].float(channel) - parts[2].float(channel) * factor)
  }
  return (factors, summands)
}

/// The weights of a convolution on their way from ONNX's order [outputs, channels of a group, height, width] to the
/// kernels'.
struct ConvolutionFilter {
  let weights: Constant
  let bias: Constant?
  let groups: Int
  let normalization: (parts: [Constant], epsilon: Float)?
  let dilations: [Int]

  private var height: Int { (weights.shape[2] - 1) * dilations[0] + 1 }
  private var width: Int { (weights.shape[3] - 1) * dilations[1] + 1 }

  /// What the outputs are multiplied by, and the bias with a batch normalization in it.
  private func scaled() -> (factors: [Float]?, bias: UnsafePointer<Float>?) {
    guard let normalization else { return (nil, bias?.floats) }
    let (factors, summands) = normalizationFactors(normalization.parts, normalization.epsilon)
    let sums = Floats.allocate(capacity: max(1, factors.count))
    for output in 0..<factors.count {
      sums[output] = (bias?.float(output) ?? 0) * factors[output] + summands[output]
    }
    return (factors, UnsafePointer(sums))
  }

  /// Calls `place` with each weight and where it belongs: output, row and column of the filter, channel.
  private func forEach(
    _ factors: [Float]?, _ place: (_ output: Int, _ row: Int, _ column: Int, _ channel: Int, Float) -> Void
  ) {
    let shape = weights.shape
    let perGroup = shape[0] / groups
    var index = 0
    for output in 0..<shape[0] {
      let factor = factors?[output] ?? 1
      for channel in 0..<shape[1] {
        for row in 0..<shape[2] {
          for column in 0..<shape[3] {
            place(
              output, row * dilations[0], column * dilations[1], output / perGroup * shape[1] + channel,
              weights.float(index) * factor)
            index += 1
          }
        }
      }
    }
  }

  func depthwise() -> Depthwise {
    let (factors, bias) = scaled()
    let channels = weights.shape[0]
    let filter = Floats.allocate(capacity: max(1, height * width * channels))
    filter.update(repeating: 0, count: height * width * channels)
    forEach(factors) { output, row, column, _, weight in
      filter[(row * width + column) * channels + output] = weight
    }
    return Depthwise(filter: UnsafePointer(filter), bias: bias)
  }

  /// Groups become zeros between inputs and outputs of different ones, dilations zeros between the taps.
  func layer() -> Linear {
    let (factors, bias) = scaled()
    let (outputs, channels) = (weights.shape[0], weights.shape[1] * groups)
    let inputs = height * width * channels
    let matrix = Floats.allocate(capacity: max(1, outputs * inputs))
    defer { matrix.deallocate() }
    if groups == 1 && weights.shape[2] * weights.shape[3] == 1 {
      // The orders are the same.
      weights.copyFloats(to: matrix)
      if let factors {
        for output in 0..<outputs {
          let row = matrix + output * inputs
          for input in 0..<inputs { row[input] *= factors[output] }
        }
      }
      return Linear(packing: matrix, weights: .f32, inputs: inputs, outputs: outputs, bias: bias)
    }
    if groups > 1 || dilations != [1, 1] { matrix.update(repeating: 0, count: outputs * inputs) }
    forEach(factors) { output, row, column, channel, weight in
      matrix[output * inputs + (row * width + column) * channels + channel] = weight
    }
    return Linear(packing: matrix, weights: .f32, inputs: inputs, outputs: outputs, bias: bias)
  }
}
