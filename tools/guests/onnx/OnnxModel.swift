// A loaded ONNX model: its graph, made ready once, and a plan for each size of input that has come along.

/// An input as it is handed over: f32, or integers as i32.
struct OnnxTensor {
  let shape: [Int]
  let isFloat: Bool
  /// Whether an image lies as [batch, height, width, channels].
  var isChannelsLast = false
}

final class OnnxModel {
  /// Plans that are kept, one for each size of the inputs.
  private static let plansMax = 32

  let graph: Graph
  private var plans: [(inputs: [OnnxTensor], plan: Plan)] = []
  /// The values of whichever plan runs.
  private var arena: OwnedMemory?
  private var arenaBytes = 0

  init(_ bytes: Bytes) throws(GuestError) {
    let file = try OnnxFile(bytes)
    var graph = try Graph(file, output: file.value(of: "roost.output"))
    try Plan.fold(&graph)
    Fusion.apply(to: &graph)
    self.graph = graph
  }

  /// The plan for inputs like these, in the order of `graph.inputs`. Its values are valid until the next is asked for.
  func plan(_ inputs: [OnnxTensor]) throws(GuestError) -> Plan {
    let plan = try findPlan(inputs)
    if plan.arenaBytes > arenaBytes || arena == nil {
      arena = nil
      arena = OwnedMemory(byteCount: plan.arenaBytes)
      arenaBytes = plan.arenaBytes
    }
    if let arena { plan.place(in: arena.start) }
    return plan
  }

  private func findPlan(_ inputs: [OnnxTensor]) throws(GuestError) -> Plan {
    for known in plans where Self.areAlike(known.inputs, inputs) { return known.plan }
    guard inputs.count == graph.inputs.count else {
      throw GuestError("the model takes another number of inputs")
    }
    var given: [(value: Int, shape: [Int], isFloat: Bool, isChannelsLast: Bool)] = []
    for (input, tensor) in zip(graph.inputs, inputs) {
      let declared = input.declared
      guard declared.type.isFloat == tensor.isFloat, declared.shape.count == tensor.shape.count else {
        throw GuestError("the input '", declared.name, "' is of another type or number of dimensions")
      }
      for (size, actual) in zip(declared.shape, tensor.shape) where size != nil && size != actual {
        throw GuestError("the input '", declared.name, "' has another size")
      }
      given.append((input.value, tensor.shape, tensor.isFloat, tensor.isChannelsLast))
    }
    if plans.count == Self.plansMax { plans.removeFirst() }
    let plan = try Plan(graph, inputs: given)
    plans.append((inputs, plan))
    return plan
  }

  private static func areAlike(_ a: [OnnxTensor], _ b: [OnnxTensor]) -> Bool {
    guard a.count == b.count else { return false }
    for (x, y) in zip(a, b)
    where x.shape != y.shape || x.isFloat != y.isFloat || x.isChannelsLast != y.isChannelsLast {
      return false
    }
    return true
  }
}
