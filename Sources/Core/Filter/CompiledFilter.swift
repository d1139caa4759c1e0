// A filter made ready to run over encoded payloads (`spec/payload.md`) in place: one pass over the
// sorted fields beside a sorted tree of the paths that the filter names, then a short program over
// the outcomes. A call neither decodes nor allocates.

/// The native filter as the search loop calls it.
public final class CompiledFilter: CandidateFilter {
  private let constants: FilterConstants
  private let tests: [FilterTest]
  private let nodes: [PathNode]
  private let names: [UInt8]
  private let program: [Instruction]

  public var preferredBatch: Int { 32 }

  /// A name in the tree of paths. The children of a node are neighbours in `nodes`, ascending by name.
  struct PathNode {
    var name = PoolRange()
    var children = PoolRange()
    var tests = PoolRange()
  }

  /// One step of the predicate: it works on a single accumulator, `and` and `or` are jumps.
  enum Instruction {
    case constant(Bool)
    case load(test: Int32)
    case invert
    /// Both skip to that instruction and leave the accumulator alone.
    case jumpIfFalse(Int32)
    case jumpIfTrue(Int32)
  }

  /// Throws what `Filter.validate` throws.
  public init(_ filter: Filter) throws(RoostError) {
    try filter.validate()
    var compiler = FilterCompiler()
    try compiler.compile(filter)
    let layout = compiler.layOut()
    constants = compiler.constants
    tests = layout.tests
    nodes = layout.nodes
    names = layout.names
    program = layout.program
  }

  /// Whether the payload that `payload` encodes passes. Throws `.corrupted` when bytes that the filter
  /// has to read are malformed; a filter never answers about a payload it could not read.
  public func matches(_ payload: UnsafeRawBufferPointer) throws(RoostError) -> Bool {
    if tests.count <= 64 {
      var word: UInt64 = 0
      return try withUnsafeMutablePointer(to: &word) { (word) throws(RoostError) in
        try matches(payload, Outcomes(words: UnsafeMutableBufferPointer(start: word, count: 1)))
      }
    }
    // At most 4096 tests, 512 bytes: the allocation is on the stack.
    let count = (tests.count + 63) / 64
    return try withUnsafeTemporaryAllocation(of: UInt64.self, capacity: count) { (words) throws(RoostError) in
      words.initialize(repeating: 0)
      return try matches(payload, Outcomes(words: words))
    }
  }

  public func evaluate(
    payloads: UnsafeBufferPointer<UnsafeRawBufferPointer>, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    precondition(payloads.count == verdicts.count)
    for index in 0..<payloads.count { verdicts[index] = try matches(payloads[index]) }
  }

  /// Which tests passed so far, a bit each.
  private struct Outcomes {
    let words: UnsafeMutableBufferPointer<UInt64>

    @inline(__always)
    func set(_ test: Int) { words[test >> 6] |= 1 << UInt64(test & 63) }

    @inline(__always)
    func isSet(_ test: Int32) -> Bool { words[Int(test) >> 6] >> UInt64(test & 63) & 1 == 1 }
  }

  @inline(__always)
  private func matches(_ payload: UnsafeRawBufferPointer, _ outcomes: Outcomes) throws(RoostError) -> Bool {
    if !tests.isEmpty {
      var reader = ByteReader(payload)
      try walk(&reader, parent: 0, depth: 0, outcomes)
    }
    return run(outcomes)
  }

  /// Goes through the fields of a map beside the children of a node. Stops behind the last field that
  /// can matter, so the reader is left anywhere inside the map.
  private func walk(
    _ reader: inout ByteReader, parent: Int, depth: Int, _ outcomes: Outcomes
  ) throws(RoostError) {
    var child = Int(nodes[parent].children.start)
    let end = Int(nodes[parent].children.end)
    let count = try reader.count("field count", atMost: Limits.payloadFieldsMax)
    for _ in 0..<count {
      let name = try reader.bytes(try reader.count("field name", atMost: Limits.fieldNameBytesMax))
      var order = compare(child, name)
      while order < 0 {
        child += 1
        if child == end { return }
        order = compare(child, name)
      }
      if order > 0 {
        try Value.skip(&reader)
        continue
      }
      for test in nodes[child].tests.start..<nodes[child].tests.end where tests[Int(test)].kind == .exists {
        outcomes.set(Int(test))
      }
      try visit(&reader, child, depth: depth, outcomes)
      child += 1
      if child == end { return }
    }
  }

  @inline(__always)
  private func compare(_ node: Int, _ name: UnsafeRawBufferPointer) -> Int {
    let range = nodes[node].name
    return names.withUnsafeBytes { raw in
      compareBytes(UnsafeRawBufferPointer(rebasing: raw[Int(range.start)..<Int(range.end)]), name)
    }
  }

  /// Tests one value; of an array, each element; of a map, the fields that the filter names.
  private func visit(
    _ reader: inout ByteReader, _ node: Int, depth: Int, _ outcomes: Outcomes
  ) throws(RoostError) {
    let start = reader.offset
    guard depth <= Limits.payloadDepthMax else {
      throw RoostError(
        .corrupted, "values nest deeper than \(Limits.payloadDepthMax)", at: "payload byte \(start)")
    }
    let value: ScalarView
    switch try reader.u8() {
    case ValueTag.null: value = .null
    case ValueTag.boolFalse: value = .bool(false)
    case ValueTag.boolTrue: value = .bool(true)
    case ValueTag.int: value = .int(try reader.i64())
    case ValueTag.double: value = .double(try reader.f64())
    case ValueTag.string:
      value = .string(try reader.bytes(try reader.count("string", atMost: Limits.payloadBytesMax)))
    case ValueTag.bytes:
      value = .bytes(try reader.bytes(try reader.count("bytes", atMost: Limits.payloadBytesMax)))
    case ValueTag.geo: value = .geo(latitude: try reader.f64(), longitude: try reader.f64())
    case ValueTag.datetime: value = .datetime(try reader.i64())
    case ValueTag.array:
      var elements = ByteReader(try reader.bytes(Int(try reader.u32())))
      let count = try elements.count("array count", atMost: Limits.payloadBytesMax)
      for _ in 0..<count { try visit(&elements, node, depth: depth + 1, outcomes) }
      return
    case ValueTag.map:
      let content = try reader.bytes(Int(try reader.u32()))
      guard nodes[node].children.start != nodes[node].children.end else { return }
      var fields = ByteReader(content)
      return try walk(&fields, parent: node, depth: depth + 1, outcomes)
    case let tag: throw RoostError(.corrupted, "unknown value tag \(tag)", at: "payload byte \(start)")
    }
    for test in nodes[node].tests.start..<nodes[node].tests.end
    where constants.passes(tests[Int(test)], value) {
      outcomes.set(Int(test))
    }
  }

  @inline(__always)
  private func run(_ outcomes: Outcomes) -> Bool {
    var accumulator = true
    var position = 0
    while position < program.count {
      switch program[position] {
      case .constant(let value): accumulator = value
      case .load(let test): accumulator = outcomes.isSet(test)
      case .invert: accumulator.toggle()
      case .jumpIfFalse(let target):
        if !accumulator {
          position = Int(target)
          continue
        }
      case .jumpIfTrue(let target):
        if accumulator {
          position = Int(target)
          continue
        }
      }
      position += 1
    }
    return accumulator
  }
}
