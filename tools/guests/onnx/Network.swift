// A model as an embedder uses it: inputs in, one vector out.

final class Network {
  enum Kind {
    case image(height: Int, width: Int)
    case text
    case tensor
  }

  private enum Pooling {
    case mean, first, none
  }

  private let model: OnnxModel
  let kind: Kind
  let dimension: Int
  private let pooling: Pooling
  private let isNormalised: Bool
  private let imageInput: ImageInput
  private var tokenizer: WordPiece?
  private let ids = UnsafeMutablePointer<UInt32>.allocate(capacity: tokensMax)
  /// Tokens of one text, its marks included; what follows is not read.
  private static let tokensMax = 256

  /// Loads the model that was linked into the module.
  init() throws(GuestError) {
    var bytes = Bytes(start: UnsafeRawPointer(modelStart()), count: Int(modelSize()))
    let arrays = Model()
    if let onnx = arrays?.array("onnx") { bytes = Bytes(start: onnx.start, count: onnx.byteCount) }
    guard bytes.count > 0 else { throw GuestError("the module was built without its model") }
    model = try OnnxModel(bytes)
    let file = model.graph.file
    kind = try Self.kind(model.graph)
    imageInput = try ImageInput(file)
    if let arrays { tokenizer = WordPiece(arrays) }
    isNormalised = file.value(of: "roost.normalise").map { $0.equals("true") } ?? false

    // The vector's length does not depend on the length of a text.
    let shape = try Self.outputShape(try model.plan(try Self.sample(model.graph, kind)))
    var pooling = Pooling.none
    if shape.count == 3 {
      let wanted = file.value(of: "roost.pooling") ?? Bytes("mean")
      guard wanted.equals("mean") || wanted.equals("first") else {
        throw GuestError("roost.pooling is '", wanted, "'; there are mean and first")
      }
      pooling = wanted.equals("mean") ? .mean : .first
    }
    self.pooling = pooling
    dimension = pooling == .none ? elementCount(shape) : shape[2]
    guard (1...4096).contains(dimension) else {
      throw GuestError(
        "the model's output has more than 4096 numbers or none; roost.output can name another value")
    }
  }

  private static func outputShape(_ plan: Plan) throws(GuestError) -> [Int] {
    guard plan.values[plan.output].isFloat else { throw GuestError("the model's output is not of floats") }
    return plan.values[plan.output].shape
  }

  private static func kind(_ graph: Graph) throws(GuestError) -> Kind {
    guard let first = graph.inputs.first?.declared else { throw GuestError("the model has no input") }
    if graph.inputs.allSatisfy({ !$0.declared.type.isFloat && $0.declared.shape.count == 2 }) { return .text }
    guard graph.inputs.count == 1 else {
      throw GuestError("the model has several inputs that are not token ids, which is not supported")
    }
    if first.shape.count == 4, first.shape[1] == 3 {
      return .image(height: first.shape[2] ?? 224, width: first.shape[3] ?? 224)
    }
    return .tensor
  }

  /// Inputs of some size, to learn the output's.
  private static func sample(_ graph: Graph, _ kind: Kind) throws(GuestError) -> [OnnxTensor] {
    switch kind {
    case .image(let height, let width):
      return [OnnxTensor(shape: [1, 3, height, width], isFloat: true, isChannelsLast: true)]
    case .text: return graph.inputs.map { OnnxTensor(shape: [1, $0.declared.shape[1] ?? 8], isFloat: false) }
    case .tensor:
      let declared = graph.inputs[0].declared
      return [OnnxTensor(shape: declared.shape.map { $0 ?? 1 }, isFloat: declared.type.isFloat)]
    }
  }

  // MARK: Inputs

  func embed(text: Bytes, into vector: Floats) throws(GuestError) {
    guard case .text = kind else { throw GuestError("the model takes no texts") }
    guard var tokenizer else {
      throw GuestError("the model came without a vocabulary; `tools/run models onnx --vocabulary` adds it")
    }
    let count = tokenizer.tokenize(text, into: ids, limit: Self.tokensMax)
    self.tokenizer = tokenizer
    let start = UnsafeRawPointer(ids).assumingMemoryBound(to: Int32.self)
    try embed(ids: start, count: count, into: vector)
  }

  func embed(bytes: Bytes, into vector: Floats) throws(GuestError) {
    guard NumPyFile.isOne(bytes) else { return try embed(image: bytes, into: vector) }
    let tensor = try NumPyFile(bytes).constant
    if case .text = kind {
      guard !tensor.isFloat, tensor.shape.count == 2, tensor.shape[0] == 1 else {
        throw GuestError("token ids come as one row of integers")
      }
      try embed(ids: tensor.int32s, count: tensor.count, into: vector)
      return withExtendedLifetime(tensor) {}
    }
    let plan = try model.plan([OnnxTensor(shape: tensor.shape, isFloat: tensor.isFloat)])
    let input = model.graph.inputs[0].value
    if tensor.isFloat {
      tensor.copyFloats(to: plan.addresses.floats(input))
    } else {
      plan.addresses.ints(input).update(from: tensor.int32s, count: tensor.count)
      withExtendedLifetime(tensor) {}
    }
    try plan.run()
    try finish(plan, into: vector)
  }

  /// A PNG or JPEG, brought to the size of the model's input.
  private func embed(image: Bytes, into vector: Floats) throws(GuestError) {
    guard case .image(let height, let width) = kind else {
      throw GuestError("the model takes no images; its inputs come as .npy files or, for token ids, as texts")
    }
    let plan = try model.plan(try Self.sample(model.graph, kind))
    try imageInput.fill(
      plan.addresses.floats(model.graph.inputs[0].value), image, width: width, height: height)
    try plan.run()
    try finish(plan, into: vector)
  }

  /// Token ids with the model's marks around them; masks are ones, types are zeros.
  private func embed(ids: UnsafePointer<Int32>, count: Int, into vector: Floats) throws(GuestError) {
    let inputs = model.graph.inputs
    let plan = try model.plan(inputs.map { _ in OnnxTensor(shape: [1, count], isFloat: false) })
    for input in inputs {
      let to = plan.addresses.ints(input.value)
      let name = input.declared.name
      if name.containsIgnoringCase(Bytes("mask")) {
        to.update(repeating: 1, count: count)
      } else if name.containsIgnoringCase(Bytes("type")) || name.containsIgnoringCase(Bytes("segment")) {
        to.update(repeating: 0, count: count)
      } else {
        to.update(from: ids, count: count)
      }
    }
    try plan.run()
    try finish(plan, into: vector)
  }

  // MARK: Output

  private func finish(_ plan: Plan, into vector: Floats) throws(GuestError) {
    let value = plan.values[plan.output]
    let output = plan.addresses.floats(plan.output)
    switch pooling {
    case .none:
      guard value.count == dimension else {
        throw GuestError("the output has another size than for other inputs")
      }
      vector.update(from: output, count: dimension)
    case .first: vector.update(from: output, count: dimension)
    case .mean:
      let rows = value.count / dimension
      for row in 0..<rows {
        for index in 0..<dimension { vector[index] += output[row * dimension + index] }
      }
      for index in 0..<dimension { vector[index] /= Float(rows) }
    }
    guard isNormalised else { return }
    var square: Float = 0
    for index in 0..<dimension { square += vector[index] * vector[index] }
    guard square > 0 else { return }
    for index in 0..<dimension { vector[index] /= square.squareRoot() }
  }
}
