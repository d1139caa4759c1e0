// The graph of an ONNX file with names resolved to numbers: what is to be computed, before anything is known
// about the sizes of inputs.

/// The operators that there are; any other is refused by name.
enum Operator: Int {
  // Images
  case conv, batchNormalization, maxPool, averagePool, globalAveragePool, globalMaxPool
  // Matrices and rows
  case gemm, matMul, softmax, layerNormalization
  case reduceMean, reduceSum, reduceMax, reduceMin, reduceL2
  // Elements
  case relu, leakyRelu, clip, sigmoid, hardSigmoid, hardSwish, tanh, gelu, erf, sqrt, exp, log, neg, abs
  case reciprocal, floor, ceil, not
  case add, sub, mul, div, pow, min, max, equal, greater, less, greaterOrEqual, lessOrEqual, and, or, whereOp
  // Shapes
  case identity, dropout, cast, reshape, flatten, squeeze, unsqueeze, transpose, concat, slice, split, gather
  case expand, pad, shape, constant, constantOfShape, range

  private static let names: [(StaticString, Operator)] = [
    ("Conv", .conv), ("BatchNormalization", .batchNormalization), ("MaxPool", .maxPool),
    ("AveragePool", .averagePool), ("GlobalAveragePool", .globalAveragePool),
    ("GlobalMaxPool", .globalMaxPool),
    ("Gemm", .gemm), ("MatMul", .matMul), ("Softmax", .softmax), ("LayerNormalization", .layerNormalization),
    ("ReduceMean", .reduceMean), ("ReduceSum", .reduceSum), ("ReduceMax", .reduceMax),
    ("ReduceMin", .reduceMin),
    ("ReduceL2", .reduceL2), ("Relu", .relu), ("LeakyRelu", .leakyRelu), ("Clip", .clip),
    ("Sigmoid", .sigmoid),
    ("HardSigmoid", .hardSigmoid), ("HardSwish", .hardSwish), ("Tanh", .tanh), ("Gelu", .gelu), ("Erf", .erf),
    ("Sqrt", .sqrt), ("Exp", .exp), ("Log", .log), ("Neg", .neg), ("Abs", .abs), ("Reciprocal", .reciprocal),
    ("Floor", .floor), ("Ceil", .ceil), ("Not", .not), ("Add", .add), ("Sub", .sub), ("Mul", .mul),
    ("Div", .div),
    ("Pow", .pow), ("Min", .min), ("Max", .max), ("Equal", .equal), ("Greater", .greater), ("Less", .less),
    ("GreaterOrEqual", .greaterOrEqual), ("LessOrEqual", .lessOrEqual), ("And", .and), ("Or", .or),
    ("Where", .whereOp), ("Identity", .identity), ("Dropout", .dropout), ("Cast", .cast),
    ("Reshape", .reshape),
    ("Flatten", .flatten), ("Squeeze", .squeeze), ("Unsqueeze", .unsqueeze), ("Transpose", .transpose),
    ("Concat", .concat), ("Slice", .slice), ("Split", .split), ("Gather", .gather), ("Expand", .expand),
    ("Pad", .pad), ("Shape", .shape), ("Constant", .constant), ("ConstantOfShape", .constantOfShape),
    ("Range", .range),
  ]

  init(_ name: Bytes) throws(GuestError) {
    for (text, value) in Self.names where name.equals(text) {
      self = value
      return
    }
    throw GuestError("the model needs the operator '", name, "', which is not supported")
  }
}

/// One operation: an ONNX node, or several that were fused into it.
final class Operation {
  var type: Operator
  let node: Node
  /// Numbers of values; −1 for an optional input that is left out.
  var inputs: [Int]
  var outputs: [Int]
  /// What is applied to the results of a convolution or a product.
  var activation = Activation.identity
  /// The bias that was an addition of its own.
  var addedBias: Constant?
  /// Gamma, beta, mean and variance of a batch normalization, and what is added to the variance.
  var normalization: (parts: [Constant], epsilon: Float)?
  var epsilon: Float?

  /// What was made of its constants when it first ran, and those that it points into.
  var layer: Linear?
  var kept: Constant?
  var depthwise: Depthwise?

  init(type: Operator, node: Node, inputs: [Int], outputs: [Int]) {
    self.type = type
    self.node = node
    self.inputs = inputs
    self.outputs = outputs
  }

  func int(_ name: StaticString, _ otherwise: Int) -> Int {
    node.attribute(name).map { Int(clamping: $0.int) } ?? otherwise
  }

  func float(_ name: StaticString, _ otherwise: Float) -> Float { node.attribute(name)?.float ?? otherwise }

  func ints(_ name: StaticString) -> [Int]? {
    node.attribute(name).map { attribute in attribute.ints.map { Int(Int32(clamping: $0)) } }
  }

  /// An error that names the operator.
  func refused(_ why: StaticString) -> GuestError { GuestError("the operator ", node.type, why) }
}

/// Numbers for names: open addressing by FNV-1a.
struct NameTable {
  private var slots = [Int32](repeating: 0, count: 64)
  private(set) var names: [Bytes] = []

  /// The number of a name, a new one if it is new.
  mutating func number(_ name: Bytes) -> Int {
    if names.count * 2 >= slots.count { grow() }
    let slot = place(name)
    if slots[slot] == 0 {
      names.append(name)
      slots[slot] = Int32(names.count)
    }
    return Int(slots[slot]) - 1
  }

  func find(_ name: Bytes) -> Int? {
    let found = slots[place(name)]
    return found == 0 ? nil : Int(found) - 1
  }

  private func place(_ name: Bytes) -> Int {
    var hash: UInt32 = 0x811c_9dc5
    for index in 0..<name.count { hash = (hash ^ UInt32(name[index])) &* 0x0100_0193 }
    var slot = Int(truncatingIfNeeded: hash >> 1) & (slots.count - 1)
    while slots[slot] != 0, !names[Int(slots[slot]) - 1].equals(name) {
      slot = (slot + 1) & (slots.count - 1)
    }
    return slot
  }

  private mutating func grow() {
    slots = [Int32](repeating: 0, count: slots.count * 2)
    for (index, name) in names.enumerated() { slots[place(name)] = Int32(index + 1) }
  }
}

struct Graph {
  let file: OnnxFile
  private(set) var names = NameTable()
  /// The operations that the output needs, each after those whose results it takes.
  var operations: [Operation] = []
  /// By the number of a value: its content, when that is known.
  var constants: [Constant?] = []
  /// What has to be given, in the order of the file.
  private(set) var inputs: [(value: Int, declared: OnnxInput)] = []
  let output: Int

  var operators: Int { file.operators }
  var valueCount: Int { names.names.count }

  /// `output` names the value to compute, the first output of the file when nil.
  init(_ file: OnnxFile, output wanted: Bytes?) throws(GuestError) {
    self.file = file
    for (name, _) in file.constants { _ = names.number(name) }
    var known = file.constants.map { Optional($0.constant) }
    for input in file.inputs where names.find(input.name) == nil {
      inputs.append((names.number(input.name), input))
    }
    for node in file.nodes {
      guard node.domain.count == 0 || node.domain.equals("ai.onnx") else {
        throw GuestError(
          "the model needs the operator '", node.type, "' of another domain, which is not supported")
      }
      var sources: [Int] = []
      for name in node.inputNames {
        guard name.count > 0 else {
          sources.append(-1)
          continue
        }
        guard let number = names.find(name) else {
          throw GuestError("the value '", name, "' is used before it is computed")
        }
        sources.append(number)
      }
      var results: [Int] = []
      for name in node.outputNames {
        guard name.count == 0 || names.find(name) == nil else {
          throw GuestError("the value '", name, "' is computed twice")
        }
        results.append(name.count == 0 ? -1 : names.number(name))
      }
      guard !results.isEmpty, results[0] >= 0 else {
        throw GuestError("a node '", node.type, "' has no result")
      }
      let type = try Operator(node.type)
      operations.append(Operation(type: type, node: node, inputs: sources, outputs: results))
    }
    guard let name = wanted ?? file.outputs.first, let output = names.find(name) else {
      throw GuestError("the model does not compute the value '", wanted ?? Bytes(""), "'")
    }
    self.output = output
    while known.count < names.names.count { known.append(nil) }
    constants = known
    prune()
  }

  /// Drops what the output does not need.
  mutating func prune() {
    var isNeeded = [Bool](repeating: false, count: valueCount)
    isNeeded[output] = true
    var kept: [Operation] = []
    for operation in operations.reversed() {
      var isUsed = false
      for result in operation.outputs where result >= 0 && isNeeded[result] { isUsed = true }
      guard isUsed else { continue }
      for source in operation.inputs where source >= 0 { isNeeded[source] = true }
      kept.append(operation)
    }
    operations = kept.reversed()
    inputs = inputs.filter { isNeeded[$0.value] }
  }
}
