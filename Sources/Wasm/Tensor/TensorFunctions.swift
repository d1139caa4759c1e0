// The functions of the tensor capability, version 1 (`spec/wasm-tensor.md`): sizes and addresses are
// checked here, the arithmetic is in CKernels.

import CKernels
import Core

extension TensorCall {
  /// `packed_bytes(weights, inputs, outputs)`.
  func packedBytes() throws(TensorFault) {
    let bytes = try packedBytes(try weights(count(0)), inputs: count(1), outputs: count(2))
    slots[0].i32 = Int32(truncatingIfNeeded: bytes)
  }

  /// `pack(weights, matrix, inputs, outputs, layout, packed)`; layout 0: a row per output, 1: a row per input.
  func pack() throws(TensorFault) {
    let (weights, inputs, outputs) = (try weights(count(0)), count(2), count(3))
    let size = try packedBytes(weights, inputs: inputs, outputs: outputs)
    let matrix = try floats(count(1), try product(inputs, outputs), "the matrix")
    let target = try bytes(count(5), size, "packed weights")
    try limit(try product(inputs, outputs))
    switch count(4) {
    case 0: roost_pack(weights, matrix, inputs, outputs, 1, inputs, target)
    case 1: roost_pack(weights, matrix, inputs, outputs, outputs, 1, target)
    case let layout: throw TensorFault("unknown layout \(layout)")
    }
  }

  /// `linear(call)`: weights, activation, rows, inputs, outputs, x, x stride, packed, bias, y, y stride.
  func linear() throws(TensorFault) {
    let word = try words(11)
    let (rows, inputs, outputs) = (word[2], word[3], word[4])
    let weights = try weights(word[0])
    try limit(try product(rows, inputs, outputs))
    let x = try floats(word[5], try extent(rows: rows, width: inputs, stride: word[6], "x"), "x")
    let y = try floats(word[9], try extent(rows: rows, width: outputs, stride: word[10], "y"), "y")
    try linear(
      weights, try activation(word[1]), rows: rows, inputs: inputs, outputs: outputs, x: x, xStride: word[6],
      packed: try packed(weights, word[7], inputs: inputs, outputs: outputs),
      bias: try optionalFloats(word[8], outputs, "the bias"), y: y, yStride: word[10], scratchOffset: 0)
  }

  private func linear(
    _ weights: Int32, _ activation: Int32, rows: Int, inputs: Int, outputs: Int, x: UnsafePointer<Float>,
    xStride: Int, packed: UnsafeRawPointer, bias: UnsafePointer<Float>?, y: UnsafeMutablePointer<Float>,
    yStride: Int, scratchOffset: Int
  ) throws(TensorFault) {
    let scratchBytes = roost_linear_scratch_bytes(weights, inputs, rows)
    var call = roost_linear(
      weights: weights, activation: activation, rows: rows, inputs: inputs, outputs: outputs, x: x,
      x_stride: xStride, packed: packed, bias: bias, y: y, y_stride: yStride,
      scratch: scratchBytes == 0 ? nil : try reserve(scratchOffset + scratchBytes) + scratchOffset)
    kernel.pointee.linear(&call)
  }

  /// `matmul(call)`: batch, rows, inner, columns, scale (f32), layout of b, then for a, b and c each address,
  /// stride of rows, stride of the batch. c = scale · a · b; b is [inner × columns] with layout 0,
  /// [columns × inner] with layout 1.
  func matmul() throws(TensorFault) {
    let word = try words(15)
    let (batch, rows, inner, columns) = (word[0], word[1], word[2], word[3])
    let scale = Float(bitPattern: UInt32(truncatingIfNeeded: word[4]))
    guard word[5] <= 1 else { throw TensorFault("unknown layout \(word[5])") }
    let isTransposed = word[5] == 1
    try limit(try product(batch, rows, inner, columns))
    func matrix(_ at: Int, _ height: Int, _ width: Int, _ what: String) throws(TensorFault)
      -> UnsafeMutablePointer<Float>
    {
      let one = try extent(rows: height, width: width, stride: word[at + 1], what)
      return try floats(word[at], batch == 0 ? 0 : try sum(try product(batch - 1, word[at + 2]), one), what)
    }
    let a = try matrix(6, rows, inner, "a")
    let b = try matrix(9, isTransposed ? columns : inner, isTransposed ? inner : columns, "b")
    let c = try matrix(12, rows, columns, "c")
    let packedBytes = try packedBytes(Int32(ROOST_WEIGHTS_F32.rawValue), inputs: inner, outputs: columns)
    let panels = try reserve(packedBytes)
    for index in 0..<batch {
      let from = b + index * word[11]
      roost_pack(
        Int32(ROOST_WEIGHTS_F32.rawValue), from, inner, columns, isTransposed ? 1 : word[10],
        isTransposed ? word[10] : 1, panels)
      let to = c + index * word[14]
      try linear(
        Int32(ROOST_WEIGHTS_F32.rawValue), 0, rows: rows, inputs: inner, outputs: columns,
        x: a + index * word[8],
        xStride: word[7], packed: panels, bias: nil, y: to, yStride: word[13], scratchOffset: 0)
      if scale != 1 {
        for row in 0..<rows { for column in 0..<columns { to[row * word[13] + column] *= scale } }
      }
    }
  }

  /// `convolve(call)`: weights, activation, then the window (see `Window`), outputs, x, packed, bias, y. Inputs
  /// of the packed weights are ordered by row of the filter, column, channel.
  func convolve() throws(TensorFault) {
    let word = try words(17)
    let weights = try weights(word[0])
    let activation = try activation(word[1])
    let window = try Window(word, from: 2)
    let outputs = word[12]
    let inputs = try product(window.kernelHeight, window.kernelWidth, window.channels)
    let pixels = try product(window.outHeight, window.outWidth)
    try limit(try product(pixels, inputs, outputs))
    let x = try floats(word[13], try window.inputCount(self), "x")
    let packed = try packed(weights, word[14], inputs: inputs, outputs: outputs)
    let bias = try optionalFloats(word[15], outputs, "the bias")
    let y = try floats(word[16], try product(pixels, outputs), "y")
    if window.isPointwise {
      return try linear(
        weights, activation, rows: pixels, inputs: inputs, outputs: outputs, x: x, xStride: inputs,
        packed: packed,
        bias: bias, y: y, yStride: outputs, scratchOffset: 0)
    }
    if weights != Int32(ROOST_WEIGHTS_I8.rawValue) {
      let reach = window.reach
      let isPadded =
        window.padTop > 0 || window.padLeft > 0 || reach.height > window.height || reach.width > window.width
      var call = roost_convolution(
        weights: weights, activation: activation, height: window.height, width: window.width,
        channels: window.channels, outputs: outputs, kernel_height: window.kernelHeight,
        kernel_width: window.kernelWidth, stride: window.stride, pad_top: window.padTop,
        pad_left: window.padLeft, out_height: window.outHeight, out_width: window.outWidth, x: x,
        packed: packed, bias: bias, y: y,
        scratch: isPadded ? try reserve(try product(reach.height, reach.width, window.channels, 4)) : nil,
        padded_height: reach.height, padded_width: reach.width)
      return kernel.pointee.convolve(&call)
    }
    // The inputs of 8-bit weights are rounded window by window: a row of the image at a time, its windows side
    // by side, then one linear layer.
    let rowBytes = (try product(window.outWidth, inputs, 4) + 63) / 64 * 64
    let needed = rowBytes + roost_linear_scratch_bytes(weights, inputs, window.outWidth)
    for row in 0..<window.outHeight {
      let windows = try reserve(needed).assumingMemoryBound(to: Float.self)
      window.gather(row: row, from: x, into: windows)
      try linear(
        weights, activation, rows: window.outWidth, inputs: inputs, outputs: outputs, x: windows,
        xStride: inputs,
        packed: packed, bias: bias, y: y + row * window.outWidth * outputs, yStride: outputs,
        scratchOffset: rowBytes)
    }
  }

  /// `depthwise(call)`: activation, the window, x, filter, bias, y.
  func depthwise() throws(TensorFault) {
    let word = try words(15)
    let window = try Window(word, from: 1)
    let count = try product(window.outHeight, window.outWidth, window.channels)
    let taps = try product(window.kernelHeight, window.kernelWidth)
    try limit(try product(count, taps))
    var call = roost_depthwise(
      activation: try activation(word[0]), height: window.height, width: window.width,
      channels: window.channels,
      kernel_height: window.kernelHeight, kernel_width: window.kernelWidth, stride: window.stride,
      pad_top: window.padTop, pad_left: window.padLeft, out_height: window.outHeight,
      out_width: window.outWidth,
      x: try floats(word[11], try window.inputCount(self), "x"),
      filter: try floats(word[12], try product(taps, window.channels), "the filter"),
      bias: try optionalFloats(word[13], window.channels, "the bias"), y: try floats(word[14], count, "y"))
    kernel.pointee.depthwise(&call)
  }

  /// `pool(call)`: kind (0 largest, 1 mean of what lies on the image), the window, x, y.
  func pool() throws(TensorFault) {
    let word = try words(13)
    guard word[0] <= 1 else { throw TensorFault("unknown kind of pooling \(word[0])") }
    let window = try Window(word, from: 1)
    let count = try product(window.outHeight, window.outWidth, window.channels)
    try limit(try product(count, window.kernelHeight, window.kernelWidth))
    window.pool(
      isMean: word[0] == 1, from: try floats(word[11], try window.inputCount(self), "x"),
      into: try floats(word[12], count, "y"))
  }

  /// `layer_norm(x, rows, width, gamma, beta, epsilon, y)`.
  func layerNorm() throws(TensorFault) {
    let (rows, width) = (count(1), count(2))
    let total = try product(rows, width)
    try limit(total)
    guard width > 0 else { return }
    kernel.pointee.layer_norm(
      try floats(count(0), total, "x"), rows, width, try floats(count(3), width, "gamma"),
      try floats(count(4), width, "beta"), slots[5].f32, try floats(count(6), total, "y"))
  }

  /// `softmax(x, rows, width)`, in place.
  func softmax() throws(TensorFault) {
    let (rows, width) = (count(1), count(2))
    let total = try product(rows, width)
    try limit(total)
    guard width > 0 else { return }
    kernel.pointee.softmax(try floats(count(0), total, "x"), rows, width)
  }

  /// `activate(activation, x, count)`, in place.
  func activate() throws(TensorFault) {
    try limit(count(2))
    kernel.pointee.activate(try activation(count(0)), try floats(count(1), count(2), "x"), count(2))
  }

  /// `add(x, y, count)`: y += x.
  func add() throws(TensorFault) {
    try limit(count(2))
    kernel.pointee.add(try floats(count(0), count(2), "x"), try floats(count(1), count(2), "y"), count(2))
  }

  /// `lookup(table, rows, width, ids, count, y)`: rows of a table of 8-bit numbers, each row a scale (f32) and
  /// `width` i8, filled up to a multiple of four bytes.
  func lookup() throws(TensorFault) {
    let (rows, width, number) = (count(1), count(2), count(4))
    let rowBytes = 4 + (width + 3) / 4 * 4
    let table = UnsafeRawPointer(try bytes(count(0), try product(rows, rowBytes), "the table"))
    let ids = UnsafeRawPointer(try bytes(count(3), try product(number, 4), "ids")).assumingMemoryBound(
      to: UInt32.self)
    let y = try floats(count(5), try product(number, width), "y")
    try limit(try product(number, width))
    for index in 0..<number {
      guard ids[index] < rows else {
        throw TensorFault("id \(ids[index]) is outside a table of \(rows) rows")
      }
      let row = table + Int(ids[index]) * rowBytes
      let scale = row.load(as: Float.self)
      let levels = (row + 4).assumingMemoryBound(to: Int8.self)
      for column in 0..<width { y[index * width + column] = Float(levels[column]) * scale }
    }
  }
}
