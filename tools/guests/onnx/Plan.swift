// A graph for inputs of certain sizes: the sizes of all values, the steps to run, and where in one block of memory
// each value lies while it is needed. What depends on sizes only is computed here, once.

/// A value of the plan. Elements are f32 or, for integers and truth values, i32.
struct Value {
  /// As ONNX says; images are [batch, channels, height, width].
  var shape: [Int]
  var isFloat = true
  /// Whether an image lies as [batch, height, width, channels] in memory.
  var isChannelsLast = false
  var constant: Constant?
  /// The value whose memory it shares: itself, or what it is a view of.
  var root: Int
  var isKnown = true

  var count: Int { elementCount(shape) }

  /// The sizes in the order of memory.
  var layout: [Int] { isChannelsLast ? [shape[0], shape[2], shape[3], shape[1]] : shape }
}

/// Where the values lie while steps run.
final class Addresses {
  fileprivate(set) var table: [UnsafeMutableRawPointer?] = []

  func floats(_ value: Int) -> Floats { at(value).assumingMemoryBound(to: Float.self) }
  func ints(_ value: Int) -> UnsafeMutablePointer<Int32> { at(value).assumingMemoryBound(to: Int32.self) }
  func words(_ value: Int) -> UnsafeMutablePointer<UInt32> { at(value).assumingMemoryBound(to: UInt32.self) }

  private func at(_ value: Int) -> UnsafeMutableRawPointer {
    guard let address = table[value] else { preconditionFailure("a value without a place") }
    return address
  }
}

typealias Action = (Addresses) throws(GuestError) -> Void

struct Step {
  let inputs: [Int]
  let output: Int
  let run: Action
}

final class Plan {
  let operators: Int
  var values: [Value] = []
  private(set) var steps: [Step] = []
  let addresses = Addresses()
  private(set) var output: Int
  private var plainCopies: [Int: Int] = [:]
  private var channelsLastCopies: [Int: Int] = [:]
  /// The memory that its values need, and where in it they lie.
  private(set) var arenaBytes = 0
  private var places: [(value: Int, offset: Int)] = []
  private var arena: UnsafeMutableRawPointer?
  private static let arenaBytesMax = 96 << 20

  /// - Parameter inputs: the value that stands for each input of the graph.
  convenience init(
    _ graph: Graph, inputs: [(value: Int, shape: [Int], isFloat: Bool, isChannelsLast: Bool)]
  ) throws(GuestError) {
    self.init(constantsOf: graph)
    for input in inputs {
      values[input.value] = Value(
        shape: input.shape, isFloat: input.isFloat, isChannelsLast: input.isChannelsLast, root: input.value)
    }
    var last = graph.output
    for operation in graph.operations { try add(operation) }
    guard values[last].isKnown else { throw GuestError("the output depends on an input that is not given") }
    last = try plain(last)
    if let constant = values[last].constant { setAddress(of: last, to: constant) }
    output = last
    try placeValues(keeping: inputs.map { $0.value })
  }

  /// Computes what depends on constants alone and makes constants of it.
  static func fold(_ graph: inout Graph) throws(GuestError) {
    let plan = Plan(constantsOf: graph)
    var left: [Operation] = []
    for operation in graph.operations {
      let isFoldable = operation.inputs.allSatisfy { $0 < 0 || plan.values[$0].constant != nil }
      guard isFoldable else {
        left.append(operation)
        continue
      }
      try plan.add(operation)
      for output in operation.outputs where output >= 0 {
        graph.constants[output] = plan.values[output].constant
      }
    }
    graph.operations = left
  }

  private init(constantsOf graph: Graph) {
    operators = graph.operators
    output = graph.output
    for index in 0..<graph.valueCount {
      let constant = graph.constants[index]
      values.append(
        Value(
          shape: constant?.shape ?? [], isFloat: constant?.isFloat ?? true, constant: constant, root: index,
          isKnown: constant != nil))
    }
    addresses.table = [UnsafeMutableRawPointer?](repeating: nil, count: values.count)
  }

  /// Lets the values lie in `memory`, at least `arenaBytes`, which other plans may use between the runs.
  func place(in memory: UnsafeMutableRawPointer) {
    guard arena != memory else { return }
    arena = memory
    for place in places { addresses.table[place.value] = memory + place.offset }
  }

  func run() throws(GuestError) { for step in steps { try step.run(addresses) } }

  // MARK: Adding steps

  private func add(_ operation: Operation) throws(GuestError) {
    for source in operation.inputs where source >= 0 && !values[source].isKnown {
      throw operation.refused(" takes a result that an operator here does not compute")
    }
    var isFoldable = true
    for source in operation.inputs where source >= 0 && values[source].constant == nil { isFoldable = false }
    let before = steps.count
    try emit(operation)
    guard isFoldable, steps.count > before else { return }
    try fold(from: before)
  }

  /// Runs the last steps at once, since all that they take is known.
  private func fold(from first: Int) throws(GuestError) {
    for step in steps[first...] {
      let value = values[step.output]
      let memory = OwnedMemory(byteCount: value.count * 4)
      addresses.table[step.output] = memory.start
      try step.run(addresses)
      values[step.output].constant = Constant(
        type: value.isFloat ? .float : .int32, shape: value.shape, start: UnsafeRawPointer(memory.start),
        memory: memory)
    }
    steps.removeLast(steps.count - first)
  }

  /// Adds a step that computes `output` from `inputs`; those are all whose memory it reads.
  func add(
    _ inputs: [Int], _ output: Int, shape: [Int], isFloat: Bool = true, isChannelsLast: Bool = false,
    _ run: @escaping Action
  ) throws(GuestError) {
    var count = 1
    for size in shape {
      guard size >= 0, size <= OnnxFile.elementsMax,
        count == 0 || size <= OnnxFile.elementsMax / 4 / max(1, count)
      else { throw GuestError("a value of the model is too large") }
      count *= size
    }
    guard shape.count <= OnnxFile.ranksMax else {
      throw GuestError("a value of the model has too many dimensions")
    }
    for input in inputs {
      if let constant = values[input].constant { setAddress(of: input, to: constant) }
    }
    values[output] = Value(shape: shape, isFloat: isFloat, isChannelsLast: isChannelsLast, root: output)
    steps.append(Step(inputs: inputs, output: output, run: run))
  }

  /// Puts another action in place of the last step's.
  func replaceLast(_ run: @escaping Action) {
    guard let step = steps.popLast() else { return }
    steps.append(Step(inputs: step.inputs, output: step.output, run: run))
  }

  private func setAddress(of value: Int, to constant: Constant) {
    addresses.table[value] =
      values[value].isFloat
      ? UnsafeMutableRawPointer(mutating: UnsafeRawPointer(constant.floats))
      : UnsafeMutableRawPointer(mutating: UnsafeRawPointer(constant.int32s))
  }

  /// Makes `output` another name for what `input` holds, with another shape. `input` must be plain.
  func view(_ input: Int, _ output: Int, shape: [Int], isFloat: Bool? = nil) throws(GuestError) {
    let source = values[input]
    guard elementCount(shape) == source.count else {
      throw GuestError("a value of the model is given another shape with another number of elements")
    }
    let isFloat = isFloat ?? source.isFloat
    if let constant = source.constant, let viewed = constant.viewed(shape: shape, isFloat: isFloat) {
      return setConstant(viewed, output)
    }
    values[output] = Value(shape: shape, isFloat: isFloat, root: source.root)
  }

  func setConstant(_ constant: Constant, _ output: Int) {
    values[output] = Value(shape: constant.shape, isFloat: constant.isFloat, constant: constant, root: output)
  }

  func setInts(_ ints: [Int], _ output: Int) {
    setConstant(Constant(shape: [ints.count], ints: ints.map { Int64($0) }), output)
  }

  /// A value that the graph has no name for.
  func temporary() -> Int {
    values.append(Value(shape: [], root: values.count))
    addresses.table.append(nil)
    return values.count - 1
  }

  // MARK: Layouts

  /// The value in the order that ONNX means.
  func plain(_ id: Int) throws(GuestError) -> Int {
    let value = values[id]
    guard value.isChannelsLast else { return id }
    if let known = plainCopies[id] { return known }
    let copy = temporary()
    let (channels, pixels) = (value.shape[1], value.shape[2] * value.shape[3])
    if channels == 1 || pixels == 1 {
      values[copy] = Value(shape: value.shape, isFloat: value.isFloat, root: value.root)
    } else {
      try permute(id, copy, shape: value.shape, order: [0, 3, 1, 2], from: value.layout)
    }
    plainCopies[id] = copy
    return copy
  }

  /// The value with its channels last; it must have four dimensions.
  func channelsLast(_ id: Int) throws(GuestError) -> Int {
    let value = values[id]
    guard !value.isChannelsLast else { return id }
    if let known = channelsLastCopies[id] { return known }
    let copy = temporary()
    if value.shape[1] == 1 || value.shape[2] * value.shape[3] == 1 {
      if let constant = value.constant { setAddress(of: id, to: constant) }
      values[copy] = Value(
        shape: value.shape, isFloat: value.isFloat, isChannelsLast: true, constant: value.constant,
        root: value.root)
    } else {
      try permute(id, copy, shape: value.shape, order: [0, 2, 3, 1], from: value.shape, isChannelsLast: true)
      if value.constant != nil { try fold(from: steps.count - 1) }
    }
    channelsLastCopies[id] = copy
    return copy
  }

  /// Dimension i of the copy, in memory, is dimension `order[i]` of the source.
  func permute(
    _ id: Int, _ copy: Int, shape: [Int], order: [Int], from layout: [Int], isChannelsLast: Bool = false
  ) throws(GuestError) {
    let strides = rowMajorStrides(layout)
    let movement = Movement(
      shape: order.map { layout[$0] }, from: order.map { strides[$0] },
      to: rowMajorStrides(order.map { layout[$0] }))
    try add([id], copy, shape: shape, isFloat: values[id].isFloat, isChannelsLast: isChannelsLast) {
      (at) throws(GuestError) in
      movement.run(from: at.words(id), to: at.words(copy))
    }
  }

  // MARK: Memory

  /// Gives every value a place such that values that are needed at the same time do not overlap: the largest
  /// first, each at the lowest place that is free for as long as it is needed.
  private func placeValues(keeping inputs: [Int]) throws(GuestError) {
    struct Life {
      let value: Int
      let bytes: Int
      var first: Int
      var last: Int
      var place = 0
    }
    var lives: [Life] = []
    var number = [Int](repeating: -1, count: values.count)
    func born(_ value: Int, _ step: Int) {
      let root = values[value].root
      guard values[root].constant == nil, number[root] < 0 else { return }
      number[root] = lives.count
      lives.append(Life(value: root, bytes: (values[root].count * 4 + 63) / 64 * 64, first: step, last: step))
    }
    for input in inputs { born(input, -1) }
    for (index, step) in steps.enumerated() {
      born(step.output, index)
      for input in step.inputs where number[values[input].root] >= 0 {
        lives[number[values[input].root]].last = index
      }
    }
    if number[values[output].root] >= 0 { lives[number[values[output].root]].last = steps.count }

    let order = (0..<lives.count).sorted { lives[$0].bytes > lives[$1].bytes }
    var placed: [Int] = []
    for index in order {
      let life = lives[index]
      var place = 0
      // Those placed before that live at the same time, by place.
      for other in placed where lives[other].first <= life.last && life.first <= lives[other].last {
        if place + life.bytes <= lives[other].place { break }
        place = max(place, lives[other].place + lives[other].bytes)
      }
      guard place <= Self.arenaBytesMax, life.bytes <= Self.arenaBytesMax else {
        throw GuestError("the model needs more memory for its intermediate values than a module may have")
      }
      lives[index].place = place
      arenaBytes = max(arenaBytes, place + life.bytes)
      let at = placed.firstIndex { lives[$0].place > place } ?? placed.count
      placed.insert(index, at: at)
    }
    guard arenaBytes <= Self.arenaBytesMax else {
      throw GuestError("the model needs more memory for its intermediate values than a module may have")
    }
    for index in 0..<values.count {
      let life = number[values[index].root]
      if life >= 0, values[index].constant == nil { places.append((index, lives[life].place)) }
    }
  }
}

func rowMajorStrides(_ shape: [Int]) -> [Int] {
  var strides = [Int](repeating: 1, count: shape.count)
  var stride = 1
  for index in (0..<shape.count).reversed() {
    strides[index] = stride
    stride *= shape[index]
  }
  return strides
}
