// Steps for operators that work element by element, with one, two or three operands.

extension Plan {
  /// Emits the steps of an operation.
  func emit(_ operation: Operation) throws(GuestError) {
    switch operation.type {
    case .conv, .batchNormalization, .maxPool, .averagePool, .globalAveragePool, .globalMaxPool:
      try emitImage(operation)
    case .gemm, .matMul, .softmax, .layerNormalization: try emitMatrix(operation)
    case .reduceMean, .reduceSum, .reduceMax, .reduceMin, .reduceL2: try emitReduction(operation)
    case .relu, .leakyRelu, .clip, .sigmoid, .hardSigmoid, .hardSwish, .tanh, .gelu, .erf, .sqrt, .exp, .log,
      .neg, .abs, .reciprocal, .floor, .ceil, .not:
      try emitUnary(operation)
    case .add, .sub, .mul, .div, .pow, .min, .max, .equal, .greater, .less, .greaterOrEqual, .lessOrEqual,
      .and,
      .or:
      try emitBinary(operation)
    case .whereOp: try emitWhere(operation)
    case .identity, .dropout, .cast, .reshape, .flatten, .squeeze, .unsqueeze, .shape, .constant,
      .constantOfShape, .range:
      try emitShape(operation)
    case .transpose, .concat, .slice, .split, .gather, .expand, .pad: try emitMovement(operation)
    }
  }

  func input(_ operation: Operation, _ index: Int) throws(GuestError) -> Int {
    guard index < operation.inputs.count, operation.inputs[index] >= 0 else {
      throw operation.refused(" lacks an input")
    }
    return operation.inputs[index]
  }

  func optionalInput(_ operation: Operation, _ index: Int) -> Int? {
    index < operation.inputs.count && operation.inputs[index] >= 0 ? operation.inputs[index] : nil
  }

  /// A constant of one element, or `otherwise` when the input is left out.
  func scalar(_ operation: Operation, _ index: Int, _ otherwise: Float) throws(GuestError) -> Float {
    guard let id = optionalInput(operation, index) else { return otherwise }
    guard let constant = values[id].constant, constant.count == 1 else {
      throw operation.refused(" has a bound that is not a constant")
    }
    return constant.float(0)
  }

  // MARK: One operand

  private func emitUnary(_ operation: Operation) throws(GuestError) {
    let (x, y) = (try input(operation, 0), operation.outputs[0])
    let value = values[x]
    let count = value.count
    guard value.isFloat else { return try emitIntegerUnary(operation, x, y) }
    func each(_ f: @escaping (Float) -> Float) throws(GuestError) {
      try add([x], y, shape: value.shape, isChannelsLast: value.isChannelsLast) { (at) throws(GuestError) in
        let (from, to) = (at.floats(x), at.floats(y))
        for index in 0..<count { to[index] = f(from[index]) }
      }
    }
    func activate(_ activation: Activation) throws(GuestError) {
      try add([x], y, shape: value.shape, isChannelsLast: value.isChannelsLast) { (at) throws(GuestError) in
        at.floats(y).update(from: at.floats(x), count: count)
        Tensor.activate(activation, at.floats(y), count: count)
      }
    }
    switch operation.type {
    case .relu: try activate(.relu)
    case .sigmoid: try activate(.sigmoid)
    case .tanh: try activate(.tanh)
    case .gelu:
      if let kind = operation.node.attribute("approximate")?.string, !kind.equals("none") {
        throw operation.refused(" is approximated, which is not supported")
      }
      try activate(.gelu)
    case .clip:
      let (low, high) = try clipBounds(operation)
      if low == 0 && high == 6 { return try activate(.relu6) }
      if low == 0 && high == .infinity { return try activate(.relu) }
      try each { Swift.min(Swift.max($0, low), high) }
    case .leakyRelu:
      let slope = operation.float("alpha", 0.01)
      try each { $0 < 0 ? $0 * slope : $0 }
    case .hardSigmoid:
      let (slope, offset) = (operation.float("alpha", 0.2), operation.float("beta", 0.5))
      try each { Swift.min(Swift.max($0 * slope + offset, 0), 1) }
    case .hardSwish: try each { $0 * Swift.min(Swift.max($0 / 6 + 0.5, 0), 1) }
    case .erf: try each(errorFunction)
    case .sqrt: try each { $0.squareRoot() }
    case .exp: try each(exponential)
    case .log: try each(logarithm)
    case .neg: try each { -$0 }
    case .abs: try each { Swift.abs($0) }
    case .reciprocal: try each { 1 / $0 }
    case .floor: try each { $0.rounded(.down) }
    case .ceil: try each { $0.rounded(.up) }
    default: throw operation.refused(" has no meaning for floats")
    }
  }

  /// The bounds of Clip: inputs since operator set 11, attributes before.
  func clipBounds(_ operation: Operation) throws(GuestError) -> (Float, Float) {
    (
      try scalar(operation, 1, operation.float("min", -.infinity)),
      try scalar(operation, 2, operation.float("max", .infinity))
    )
  }

  private func emitIntegerUnary(_ operation: Operation, _ x: Int, _ y: Int) throws(GuestError) {
    let value = values[x]
    let count = value.count
    func each(_ f: @escaping (Int32) -> Int32) throws(GuestError) {
      try add([x], y, shape: value.shape, isFloat: false, isChannelsLast: value.isChannelsLast) {
        (at) throws(GuestError) in
        let (from, to) = (at.ints(x), at.ints(y))
        for index in 0..<count { to[index] = f(from[index]) }
      }
    }
    switch operation.type {
    case .not: try each { $0 == 0 ? 1 : 0 }
    case .neg: try each { 0 &- $0 }
    case .abs: try each { $0 < 0 ? 0 &- $0 : $0 }
    default: throw operation.refused(" of integers is not supported")
    }
  }

  // MARK: Two operands

  /// Brings operands to one layout; returns them, their sizes in memory, and the shape of the result.
  private func aligned(_ operands: [Int]) throws(GuestError) -> (
    operands: [Int], layouts: [[Int]], shape: [Int], isChannelsLast: Bool
  ) {
    var shape: [Int] = []
    var isChannelsLast = false
    for id in operands {
      shape = try broadcast(shape, values[id].shape)
      if values[id].isChannelsLast { isChannelsLast = true }
    }
    guard isChannelsLast else { return (operands, operands.map { values[$0].shape }, shape, false) }
    guard shape.count == 4 else {
      let copies = try operands.map { (id) throws(GuestError) in try plain(id) }
      return (copies, copies.map { values[$0].shape }, shape, false)
    }
    var (ids, layouts): ([Int], [[Int]]) = ([], [])
    for var id in operands {
      var own = values[id].shape
      while own.count < 4 { own.insert(1, at: 0) }
      if !values[id].isChannelsLast, own[1] > 1, own[2] * own[3] > 1 {
        if values[id].shape.count < 4 {
          let copy = temporary()
          try view(id, copy, shape: own)
          id = copy
        }
        id = try channelsLast(id)
      }
      ids.append(id)
      layouts.append([own[0], own[2], own[3], own[1]])
    }
    return (ids, layouts, shape, true)
  }

  private func emitBinary(_ operation: Operation) throws(GuestError) {
    if operation.type == .min || operation.type == .max, operation.inputs.count != 2 {
      throw operation.refused(" of other than two operands is not supported")
    }
    let first = [try input(operation, 0), try input(operation, 1)]
    let (ids, layouts, shape, isChannelsLast) = try aligned(first)
    let (a, b, y) = (ids[0], ids[1], operation.outputs[0])
    guard values[a].isFloat == values[b].isFloat else {
      throw operation.refused(" mixes floats and integers")
    }
    let layout = isChannelsLast ? [shape[0], shape[2], shape[3], shape[1]] : shape
    let rows = Rows(
      shape: layout,
      strides: [
        broadcastStrides(layouts[0], to: layout), broadcastStrides(layouts[1], to: layout),
        rowMajorStrides(layout),
      ])
    let (type, count) = (operation.type, elementCount(shape))
    if values[a].isFloat, let combine = floatArithmetic(type) {
      let isSame = layouts[0] == layouts[1]
      return try add([a, b], y, shape: shape, isChannelsLast: isChannelsLast) { (at) throws(GuestError) in
        let (left, right, to) = (at.floats(a), at.floats(b), at.floats(y))
        if type == .add && isSame {
          to.update(from: left, count: count)
          return Tensor.add(right, to: to, count: count)
        }
        combine(rows, left, right, to)
      }
    }
    if values[a].isFloat, let compare = floatComparison(type) {
      return try add([a, b], y, shape: shape, isFloat: false, isChannelsLast: isChannelsLast) {
        (at) throws(GuestError) in combineRows(rows, at.floats(a), at.floats(b), at.ints(y), compare)
      }
    }
    guard !values[a].isFloat, let combine = integerArithmetic(type) else {
      throw operation.refused(" has no meaning for these operands")
    }
    try add([a, b], y, shape: shape, isFloat: false, isChannelsLast: isChannelsLast) {
      (at) throws(GuestError) in
      combineRows(rows, at.ints(a), at.ints(b), at.ints(y), combine)
    }
  }

  private func emitWhere(_ operation: Operation) throws(GuestError) {
    let first = [try input(operation, 0), try input(operation, 1), try input(operation, 2)]
    let (ids, layouts, shape, isChannelsLast) = try aligned(first)
    let (condition, a, b, y) = (ids[0], ids[1], ids[2], operation.outputs[0])
    guard values[a].isFloat == values[b].isFloat, !values[condition].isFloat else {
      throw operation.refused(" mixes floats and integers")
    }
    let layout = isChannelsLast ? [shape[0], shape[2], shape[3], shape[1]] : shape
    let strides = layouts.map { broadcastStrides($0, to: layout) }
    let rows = Rows(shape: layout, strides: strides + [rowMajorStrides(layout)])
    try add([condition, a, b], y, shape: shape, isFloat: values[a].isFloat, isChannelsLast: isChannelsLast) {
      (at) throws(GuestError) in
      let last = rows.shape.count - 1
      let (c, s, t, u) = (
        rows.strides[0][last], rows.strides[1][last], rows.strides[2][last], rows.strides[3][last]
      )
      rows.forEach { (offsets) throws(Never) in
        let which = at.ints(condition) + offsets[0]
        let (x, z, to) = (at.words(a) + offsets[1], at.words(b) + offsets[2], at.words(y) + offsets[3])
        for index in 0..<rows.shape[last] {
          to[index * u] = which[index * c] != 0 ? x[index * s] : z[index * t]
        }
      }
    }
  }
}

/// y = f(a, b) row by row.
@inline(__always)
private func combineRows<T, U>(
  _ rows: Rows, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ y: UnsafeMutablePointer<U>, _ f: (T, T) -> U
) {
  let last = rows.shape.count - 1
  let (s, t, u, count) = (
    rows.strides[0][last], rows.strides[1][last], rows.strides[2][last], rows.shape[last]
  )
  rows.forEach { (offsets) throws(Never) in
    let (left, right, to) = (a + offsets[0], b + offsets[1], y + offsets[2])
    if s == 1 && t == 1 && u == 1 {
      for index in 0..<count { to[index] = f(left[index], right[index]) }
    } else if s == 1 && t == 0 && u == 1 {
      let factor = right[0]
      for index in 0..<count { to[index] = f(left[index], factor) }
    } else {
      for index in 0..<count { to[index * u] = f(left[index * s], right[index * t]) }
    }
  }
}

private typealias FloatRows = (Rows, UnsafePointer<Float>, UnsafePointer<Float>, Floats) -> Void

private func floatArithmetic(_ type: Operator) -> FloatRows? {
  switch type {
  case .add: { rows, a, b, y in combineRows(rows, a, b, y) { $0 + $1 } }
  case .sub: { rows, a, b, y in combineRows(rows, a, b, y) { $0 - $1 } }
  case .mul: { rows, a, b, y in combineRows(rows, a, b, y) { $0 * $1 } }
  case .div: { rows, a, b, y in combineRows(rows, a, b, y) { $0 / $1 } }
  case .pow: { rows, a, b, y in combineRows(rows, a, b, y) { power($0, $1) } }
  case .min: { rows, a, b, y in combineRows(rows, a, b, y) { $1 < $0 ? $1 : $0 } }
  case .max: { rows, a, b, y in combineRows(rows, a, b, y) { $1 > $0 ? $1 : $0 } }
  default: nil
  }
}

private func floatComparison(_ type: Operator) -> ((Float, Float) -> Int32)? {
  switch type {
  case .equal: { $0 == $1 ? 1 : 0 }
  case .greater: { $0 > $1 ? 1 : 0 }
  case .less: { $0 < $1 ? 1 : 0 }
  case .greaterOrEqual: { $0 >= $1 ? 1 : 0 }
  case .lessOrEqual: { $0 <= $1 ? 1 : 0 }
  default: nil
  }
}

private func integerArithmetic(_ type: Operator) -> ((Int32, Int32) -> Int32)? {
  switch type {
  case .add: { $0 &+ $1 }
  case .sub: { $0 &- $1 }
  case .mul: { $0 &* $1 }
  // By zero, and the one quotient that does not fit: 0, so that nothing traps.
  case .div: { $1 == 0 || ($0 == .min && $1 == -1) ? 0 : $0 / $1 }
  case .min: { Swift.min($0, $1) }
  case .max: { Swift.max($0, $1) }
  case .equal: { $0 == $1 ? 1 : 0 }
  case .greater: { $0 > $1 ? 1 : 0 }
  case .less: { $0 < $1 ? 1 : 0 }
  case .greaterOrEqual: { $0 >= $1 ? 1 : 0 }
  case .lessOrEqual: { $0 <= $1 ? 1 : 0 }
  case .and: { $0 != 0 && $1 != 0 ? 1 : 0 }
  case .or: { $0 != 0 || $1 != 0 ? 1 : 0 }
  default: nil
  }
}
