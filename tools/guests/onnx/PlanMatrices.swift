// Steps for products of matrices, for operators on rows, and for reductions.

extension Plan {
  func emitMatrix(_ operation: Operation) throws(GuestError) {
    switch operation.type {
    case .gemm: try emitGemm(operation)
    case .matMul: try emitProduct(operation)
    case .softmax: try emitSoftmax(operation)
    default: try emitLayerNorm(operation)
    }
  }

  /// A dimension's number from an axis that may count from the end.
  func dimension(_ axis: Int, rank: Int, _ operation: Operation) throws(GuestError) -> Int {
    guard axis >= -rank, axis < rank else {
      throw operation.refused(" has an axis that its input does not have")
    }
    return axis < 0 ? axis + rank : axis
  }

  // MARK: Products

  private func emitProduct(_ operation: Operation) throws(GuestError) {
    let (a, b) = (try plain(try input(operation, 0)), try input(operation, 1))
    let left = values[a].shape
    guard left.count >= 2, values[b].shape.count >= 2, values[a].isFloat, values[b].isFloat else {
      throw operation.refused(" of vectors or integers is not supported")
    }
    let inner = left[left.count - 1]
    if let weights = values[b].constant, weights.shape.count == 2 {
      guard weights.shape[0] == inner else {
        throw operation.refused(" has matrices that do not fit together")
      }
      return try emitLinear(
        operation, a, outputs: weights.shape[1], shape: Array(left.dropLast()) + [weights.shape[1]],
        bias: operation.addedBias
      ) {
        packed(weights, inputs: inner, outputs: weights.shape[1], isRowPerOutput: false, scale: 1, bias: $0)
      }
    }
    let right = try plain(b)
    let shape = values[right].shape
    guard shape[shape.count - 2] == inner else {
      throw operation.refused(" has matrices that do not fit together")
    }
    try emitMatrices(operation, a, right, isTransposed: false, scale: 1)
    if let bias = operation.addedBias { try emitBias(operation.outputs[0], bias, operation.activation) }
  }

  /// What follows a product whose second factor is computed.
  private func emitBias(_ y: Int, _ bias: Constant, _ activation: Activation) throws(GuestError) {
    guard let step = steps.last, step.output == y else { return }
    let (count, width, sums) = (values[y].count, bias.count, bias.floats)
    replaceLast { (at) throws(GuestError) in
      _ = bias
      try step.run(at)
      let to = at.floats(y)
      for first in stride(from: 0, to: count, by: width) {
        for index in 0..<width { to[first + index] += sums[index] }
      }
      if activation != .identity { Tensor.activate(activation, to, count: count) }
    }
  }

  /// c = scale · a · b for stacks of matrices, repeated as for elements.
  private func emitMatrices(
    _ operation: Operation, _ a: Int, _ b: Int, isTransposed: Bool, scale: Float
  ) throws(GuestError) {
    let (left, right, y) = (values[a].shape, values[b].shape, operation.outputs[0])
    let (rows, inner) = (left[left.count - 2], left[left.count - 1])
    let columns = isTransposed ? right[right.count - 2] : right[right.count - 1]
    let stack = try broadcast(Array(left.dropLast(2)), Array(right.dropLast(2)))
    let layout = Rows(
      shape: stack,
      strides: [
        broadcastStrides(Array(left.dropLast(2)), to: stack),
        broadcastStrides(Array(right.dropLast(2)), to: stack),
        rowMajorStrides(stack),
      ])
    let steps = (rows * inner, inner * columns, rows * columns)
    let strides = (inner, isTransposed ? inner : columns, columns)
    let last = layout.shape.count - 1
    let (count, s, t, u) = (
      layout.shape[last], layout.strides[0][last], layout.strides[1][last], layout.strides[2][last]
    )
    try add([a, b], y, shape: stack + [rows, columns]) { (at) throws(GuestError) in
      layout.forEach { (offsets) throws(Never) in
        Matrices.multiply(
          Matrices(at.floats(a) + offsets[0] * steps.0, stride: strides.0, step: s * steps.0),
          Matrices(at.floats(b) + offsets[1] * steps.1, stride: strides.1, step: t * steps.1),
          transposed: isTransposed, count: count, rows: rows, inner: inner, columns: columns, scale: scale,
          into: Matrices(at.floats(y) + offsets[2] * steps.2, stride: strides.2, step: u * steps.2))
      }
    }
  }

  /// y = activation(x · packed weights + bias) for every row of x.
  private func emitLinear(
    _ operation: Operation, _ x: Int, outputs: Int, shape: [Int], bias: Constant?,
    _ make: @escaping (UnsafePointer<Float>?) -> Linear
  ) throws(GuestError) {
    guard bias.map({ $0.count == outputs }) ?? true else {
      throw operation.refused(" has a bias that does not fit")
    }
    let (y, activation) = (operation.outputs[0], operation.activation)
    let rows = outputs == 0 ? 0 : elementCount(shape) / outputs
    try add([x], y, shape: shape) { (at) throws(GuestError) in
      let layer = operation.layer ?? make(bias?.floats)
      if operation.layer == nil { (operation.layer, operation.kept) = (layer, bias) }
      layer.apply(at.floats(x), rows: rows, activation: activation, into: at.floats(y))
    }
  }

  private func emitGemm(_ operation: Operation) throws(GuestError) {
    var a = try plain(try input(operation, 0))
    let b = try input(operation, 1)
    guard values[a].shape.count == 2, values[b].shape.count == 2, values[a].isFloat, values[b].isFloat else {
      throw operation.refused(" takes something other than two matrices")
    }
    if operation.int("transA", 0) != 0 {
      let copy = temporary()
      try permute(a, copy, shape: values[a].shape.reversed(), order: [1, 0], from: values[a].shape)
      a = copy
    }
    let (alpha, beta) = (operation.float("alpha", 1), operation.float("beta", 1))
    let isTransposed = operation.int("transB", 0) != 0
    let (rows, inner) = (values[a].shape[0], values[a].shape[1])
    let outputs = values[b].shape[isTransposed ? 0 : 1]
    guard values[b].shape[isTransposed ? 1 : 0] == inner else {
      throw operation.refused(" has matrices that do not fit together")
    }
    var bias: Constant?
    if let id = optionalInput(operation, 2), beta != 0 {
      guard let constant = values[id].constant, constant.count == outputs || constant.count == 1 else {
        throw operation.refused(" has a summand that is not a constant row")
      }
      bias = Constant(
        shape: [outputs], floats: (0..<outputs).map { constant.float(constant.count == 1 ? 0 : $0) * beta })
    }
    if let weights = values[b].constant {
      return try emitLinear(operation, a, outputs: outputs, shape: [rows, outputs], bias: bias) {
        packed(
          weights, inputs: inner, outputs: outputs, isRowPerOutput: isTransposed, scale: alpha, bias: $0)
      }
    }
    try emitMatrices(operation, a, try plain(b), isTransposed: isTransposed, scale: alpha)
    if bias != nil || operation.activation != .identity {
      try emitBias(
        operation.outputs[0], bias ?? Constant(shape: [1], floats: [0]), operation.activation)
    }
  }

  // MARK: Rows

  private func emitSoftmax(_ operation: Operation) throws(GuestError) {
    let x = try plain(try input(operation, 0))
    let (shape, y) = (values[x].shape, operation.outputs[0])
    guard values[x].isFloat, !shape.isEmpty else { throw operation.refused(" of integers is not supported") }
    let isFlat = operators < 13
    let axis = try dimension(operation.int("axis", isFlat ? 1 : -1), rank: shape.count, operation)
    let width = isFlat ? elementCount(Array(shape[axis...])) : shape[axis]
    let step = isFlat ? 1 : elementCount(Array(shape[(axis + 1)...]))
    let count = elementCount(shape)
    try add([x], y, shape: shape) { (at) throws(GuestError) in
      guard count > 0 else { return }
      let to = at.floats(y)
      guard step > 1 else {
        to.update(from: at.floats(x), count: count)
        return Tensor.softmax(to, rows: count / width, width: width)
      }
      let (from, row) = (at.floats(x), Floats.allocate(capacity: width))
      defer { row.deallocate() }
      for outer in 0..<count / (width * step) {
        for inner in 0..<step {
          let start = outer * width * step + inner
          for index in 0..<width { row[index] = from[start + index * step] }
          Tensor.softmax(row, rows: 1, width: width)
          for index in 0..<width { to[start + index * step] = row[index] }
        }
      }
    }
  }

  private func emitLayerNorm(_ operation: Operation) throws(GuestError) {
    let x = try plain(try input(operation, 0))
    let (shape, y) = (values[x].shape, operation.outputs[0])
    guard operation.outputs.dropFirst().allSatisfy({ $0 < 0 }) else {
      throw operation.refused(" has a second result, which is not supported")
    }
    guard let gamma = values[try input(operation, 1)].constant, values[x].isFloat else {
      throw operation.refused(" has a scale that is not a constant")
    }
    let axis = try dimension(operation.int("axis", -1), rank: shape.count, operation)
    let width = elementCount(Array(shape[axis...]))
    var beta: Constant?
    if let id = optionalInput(operation, 2) {
      guard let constant = values[id].constant, constant.count == width else {
        throw operation.refused(" has a bias that is not a constant of its width")
      }
      beta = constant
    }
    guard gamma.count == width, width > 0 else { throw operation.refused(" has a scale that does not fit") }
    let epsilon = operation.epsilon ?? operation.float("epsilon", 1e-5)
    let summands = beta ?? Constant(shape: [width], floats: [Float](repeating: 0, count: width))
    let rows = elementCount(shape) / width
    let (factors, offsets) = (gamma.floats, summands.floats)
    try add([x], y, shape: shape) { (at) throws(GuestError) in
      _ = (gamma, summands)
      Tensor.layerNorm(
        at.floats(x), rows: rows, width: width, gamma: factors, beta: offsets, epsilon: epsilon,
        into: at.floats(y))
    }
  }

  // MARK: Reductions

  /// The axes of a reduction: an attribute, or since operator set 13 or 18 an input.
  private func axes(_ operation: Operation, rank: Int) throws(GuestError) -> [Int] {
    var axes = operation.ints("axes")
    if let id = optionalInput(operation, 1) {
      guard let constant = values[id].constant else {
        throw operation.refused(" has axes that are not constants")
      }
      axes = constant.ints
    }
    guard let axes, !axes.isEmpty else {
      return operation.int("noop_with_empty_axes", 0) == 1 ? [] : Array(0..<rank)
    }
    return try axes.map { (axis) throws(GuestError) in try dimension(axis, rank: rank, operation) }
  }

  func emitReduction(_ operation: Operation) throws(GuestError) {
    var x = try input(operation, 0)
    let shape = values[x].shape
    guard values[x].isFloat else { throw operation.refused(" of integers is not supported") }
    let axes = try axes(operation, rank: shape.count)
    // With its channels last, an image can be reduced as it lies if what is left has one order only.
    if values[x].isChannelsLast, !axes.contains(1), !(axes.contains(2) && axes.contains(3)) {
      x = try plain(x)
    }
    let isLast = values[x].isChannelsLast
    let layout = values[x].layout
    let places = isLast ? axes.map { [0, 3, 1, 2][$0] } : axes
    let kept = (0..<layout.count).map { places.contains($0) ? 1 : layout[$0] }
    let keepsDimensions = operation.int("keepdims", 1) != 0
    var result: [Int] = []
    for index in 0..<shape.count {
      if !axes.contains(index) { result.append(shape[index]) } else if keepsDimensions { result.append(1) }
    }
    let rows = Rows(shape: layout, strides: [rowMajorStrides(layout), broadcastStrides(kept, to: layout)])
    let (type, y, count) = (operation.type, operation.outputs[0], elementCount(kept))
    let size = Float(elementCount(layout) / max(1, count))
    let source = x
    let start: Float = type == .reduceMax ? -.infinity : type == .reduceMin ? .infinity : 0
    try add([source], y, shape: result) { (at) throws(GuestError) in
      let (from, to) = (at.floats(source), at.floats(y))
      to.update(repeating: start, count: count)
      switch type {
      case .reduceMax: reduceRows(rows, from, to) { Swift.max($0, $1) }
      case .reduceMin: reduceRows(rows, from, to) { Swift.min($0, $1) }
      case .reduceL2: reduceRows(rows, from, to) { $0 + $1 * $1 }
      default: reduceRows(rows, from, to) { $0 + $1 }
      }
      if type == .reduceMean { for index in 0..<count { to[index] /= size } }
      if type == .reduceL2 { for index in 0..<count { to[index] = to[index].squareRoot() } }
    }
  }
}

@inline(__always)
private func reduceRows(
  _ rows: Rows, _ x: UnsafePointer<Float>, _ y: Floats, _ f: (Float, Float) -> Float
) {
  let last = rows.shape.count - 1
  let (s, t, count) = (rows.strides[0][last], rows.strides[1][last], rows.shape[last])
  rows.forEach { (offsets) throws(Never) in
    let (from, to) = (x + offsets[0], y + offsets[1])
    if t == 0 {
      var result = to[0]
      for index in 0..<count { result = f(result, from[index * s]) }
      to[0] = result
    } else {
      for index in 0..<count { to[index * t] = f(to[index * t], from[index * s]) }
    }
  }
}

/// A constant matrix as packed weights.
private func packed(
  _ weights: Constant, inputs: Int, outputs: Int, isRowPerOutput: Bool, scale: Float,
  bias: UnsafePointer<Float>?
) -> Linear {
  let matrix = Floats.allocate(capacity: max(1, weights.count))
  defer { matrix.deallocate() }
  if isRowPerOutput {
    weights.copyFloats(to: matrix)
  } else {
    for input in 0..<inputs {
      for output in 0..<outputs { matrix[output * inputs + input] = weights.float(input * outputs + output) }
    }
  }
  if scale != 1 { for index in 0..<weights.count { matrix[index] *= scale } }
  return Linear(packing: matrix, weights: .f32, inputs: inputs, outputs: outputs, bias: bias)
}
