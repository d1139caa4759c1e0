// Joins operations that are cheaper together: batch normalizations, biases and activations with what they follow,
// and the chains that exporters write for GELU and layer normalization.

struct Fusion {
  private var graph: Graph
  /// The operation that computes a value, and how many take it (the output counts as one).
  private var producers: [Operation?]
  private var uses: [Int]
  private var takers: [[Operation]]

  static func apply(to graph: inout Graph) {
    var fusion = Fusion(graph)
    fusion.joinChains()
    fusion.graph.prune()
    fusion = Fusion(fusion.graph)
    fusion.joinFollowers()
    fusion.graph.prune()
    graph = fusion.graph
  }

  private init(_ graph: Graph) {
    self.graph = graph
    producers = [Operation?](repeating: nil, count: graph.valueCount)
    uses = [Int](repeating: 0, count: graph.valueCount)
    takers = [[Operation]](repeating: [], count: graph.valueCount)
    for operation in graph.operations {
      for output in operation.outputs where output >= 0 { producers[output] = operation }
      for input in operation.inputs where input >= 0 {
        uses[input] += 1
        takers[input].append(operation)
      }
    }
    uses[graph.output] += 1
  }

  /// The only operation that takes a value.
  private func onlyTaker(of value: Int) -> Operation? { uses[value] == 1 ? takers[value].first : nil }

  private func taker(of value: Int, _ type: Operator) -> Operation? {
    guard let operation = onlyTaker(of: value), operation.type == type else { return nil }
    return operation
  }

  private func producer(of value: Int, _ type: Operator) -> Operation? {
    guard value >= 0, let operation = producers[value], operation.type == type else { return nil }
    return operation
  }

  private func constant(_ value: Int) -> Constant? { value >= 0 ? graph.constants[value] : nil }

  /// Whether a value is about this number.
  private func isNumber(_ value: Int, _ number: Float) -> Bool {
    guard let constant = constant(value), constant.count == 1, constant.isFloat else { return false }
    return abs(constant.float(0) - number) <= 1e-4 * abs(number)
  }

  /// The operand of a product or sum besides the constant number.
  private func operand(_ operation: Operation, besides number: Float) -> Int? {
    guard operation.inputs.count == 2 else { return nil }
    if isNumber(operation.inputs[1], number) { return operation.inputs[0] }
    return isNumber(operation.inputs[0], number) ? operation.inputs[1] : nil
  }

  // MARK: Chains

  private mutating func joinChains() {
    for operation in graph.operations {
      if operation.type == .erf { joinGELU(operation) }
      if operation.type == .sqrt { joinLayerNorm(operation) }
    }
  }

  /// x · ½ (1 + erf(x / √2)), the half first or last.
  private func joinGELU(_ erf: Operation) {
    guard let scaled = producers[erf.inputs[0]] else { return }
    var x: Int?
    if scaled.type == .div, isNumber(scaled.inputs[1], 1.41421356) { x = scaled.inputs[0] }
    if scaled.type == .mul { x = operand(scaled, besides: 0.70710678) }
    guard let x, let sum = taker(of: erf.outputs[0], .add), operand(sum, besides: 1) == erf.outputs[0],
      let product = taker(of: sum.outputs[0], .mul)
    else { return }
    let other = product.inputs[0] == sum.outputs[0] ? product.inputs[1] : product.inputs[0]
    if other == x {
      guard let half = taker(of: product.outputs[0], .mul), operand(half, besides: 0.5) == product.outputs[0]
      else {
        return
      }
      (half.type, half.inputs) = (.gelu, [x])
    } else if let half = producer(of: other, .mul), operand(half, besides: 0.5) == x {
      (product.type, product.inputs) = (.gelu, [x])
    }
  }

  private func isMeanOfLast(_ operation: Operation) -> Bool {
    let axes =
      operation.ints("axes") ?? (operation.inputs.count > 1 ? constant(operation.inputs[1])?.ints : nil)
    return operation.int("keepdims", 1) == 1 && axes == [-1]
  }

  /// (x − mean) / √(variance + ε) · γ + β
  private func joinLayerNorm(_ root: Operation) {
    guard let sum = producer(of: root.inputs[0], .add), sum.inputs.count == 2 else { return }
    let isFirst = producer(of: sum.inputs[0], .reduceMean) != nil
    let (from, offset) = isFirst ? (sum.inputs[0], sum.inputs[1]) : (sum.inputs[1], sum.inputs[0])
    guard let variance = producer(of: from, .reduceMean), isMeanOfLast(variance),
      let epsilon = constant(offset), epsilon.count == 1, let square = producers[variance.inputs[0]]
    else { return }
    let centred: Int
    if square.type == .pow, isNumber(square.inputs[1], 2) {
      centred = square.inputs[0]
    } else if square.type == .mul, square.inputs[0] == square.inputs[1] {
      centred = square.inputs[0]
    } else {
      return
    }
    guard let difference = producer(of: centred, .sub),
      let mean = producer(of: difference.inputs[1], .reduceMean),
      isMeanOfLast(mean), mean.inputs[0] == difference.inputs[0],
      let quotient = taker(of: root.outputs[0], .div),
      quotient.inputs[0] == centred, let product = taker(of: quotient.outputs[0], .mul),
      let total = taker(of: product.outputs[0], .add)
    else { return }
    let gamma = product.inputs[0] == quotient.outputs[0] ? product.inputs[1] : product.inputs[0]
    let beta = total.inputs[0] == product.outputs[0] ? total.inputs[1] : total.inputs[0]
    guard let factors = constant(gamma), let summands = constant(beta), factors.shape.count == 1,
      summands.shape == factors.shape
    else { return }
    (total.type, total.inputs) = (.layerNormalization, [difference.inputs[0], gamma, beta])
    total.epsilon = epsilon.float(0)
  }

  // MARK: Followers

  private mutating func joinFollowers() {
    for operation in graph.operations {
      switch operation.type {
      case .conv: joinNormalization(operation)
      case .matMul: joinBias(operation)
      case .gemm: break
      default: continue
      }
      joinActivation(operation)
    }
  }

  /// Makes the operation compute what the follower would; the follower then has no use.
  private mutating func replace(_ follower: Operation, by operation: Operation) {
    let output = follower.outputs[0]
    follower.outputs = []
    operation.outputs[0] = output
    producers[output] = operation
  }

  private mutating func joinNormalization(_ convolution: Operation) {
    guard let follower = taker(of: convolution.outputs[0], .batchNormalization), follower.inputs.count == 5,
      follower.inputs[0] == convolution.outputs[0], convolution.inputs.count > 1,
      let outputs = constant(convolution.inputs[1])?.shape.first
    else { return }
    var parts: [Constant] = []
    for input in follower.inputs[1...] {
      guard let constant = constant(input), constant.count == outputs else { return }
      parts.append(constant)
    }
    convolution.normalization = (parts, follower.float("epsilon", 1e-5))
    replace(follower, by: convolution)
  }

  private mutating func joinBias(_ product: Operation) {
    guard let follower = taker(of: product.outputs[0], .add), follower.inputs.count == 2,
      let weights = constant(product.inputs[1]), weights.shape.count == 2
    else { return }
    let other = follower.inputs[0] == product.outputs[0] ? follower.inputs[1] : follower.inputs[0]
    guard let bias = constant(other), bias.shape == [weights.shape[1]] else { return }
    product.addedBias = bias
    replace(follower, by: product)
  }

  private mutating func joinActivation(_ operation: Operation) {
    guard let follower = onlyTaker(of: operation.outputs[0]), follower.inputs[0] == operation.outputs[0]
    else {
      return
    }
    switch follower.type {
    case .relu: operation.activation = .relu
    case .sigmoid: operation.activation = .sigmoid
    case .tanh: operation.activation = .tanh
    case .gelu where follower.node.attribute("approximate") == nil: operation.activation = .gelu
    case .clip:
      let low = bound(follower, 1, "min", -.infinity)
      let high = bound(follower, 2, "max", .infinity)
      guard low == 0, high == 6 || high == .infinity else { return }
      operation.activation = high == 6 ? .relu6 : .relu
    default: return
    }
    replace(follower, by: operation)
  }

  /// A bound of Clip; nil when it is not a constant.
  private func bound(_ clip: Operation, _ index: Int, _ name: StaticString, _ otherwise: Float) -> Float? {
    guard index < clip.inputs.count, clip.inputs[index] >= 0 else { return clip.float(name, otherwise) }
    guard let constant = constant(clip.inputs[index]), constant.count == 1 else { return nil }
    return constant.float(0)
  }
}
