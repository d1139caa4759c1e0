// The tables that a filter is compiled into and the pass over encoded payloads (`spec/payload.md`) in
// place: once through the sorted fields beside a sorted tree of the paths that the filter names, then a
// short program over the outcomes. A call neither decodes nor allocates.

/// A filter made ready to run; of a `nested`, one for the maps below.
final class FilterProgram: Sendable {
  private let constants: FilterConstants
  private let tests: [FilterTest]
  private let nodes: [PathNode]
  private let names: [UInt8]
  private let steps: [Instruction]
  /// The programs of the `nested` tests.
  private let inner: [FilterProgram]
  /// Whether it, or one inside, asks for the record's id.
  let readsIDs: Bool

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
    case hasID(set: Int32)
    case invert
    /// Both skip to that instruction and leave the accumulator alone.
    case jumpIfFalse(Int32)
    case jumpIfTrue(Int32)
  }

  /// The filter must be valid.
  init(_ filter: Filter) {
    var compiler = FilterCompiler()
    compiler.compile(filter)
    let layout = compiler.layOut()
    constants = compiler.constants
    inner = compiler.inner
    tests = layout.tests
    nodes = layout.nodes
    names = layout.names
    steps = layout.program
    readsIDs = !compiler.constants.idSets.isEmpty || compiler.inner.contains(where: \.readsIDs)
  }

  /// Whether a map passes: encoded fields, as a payload is and as the content of a map value. `depth` is
  /// how deep the map lies in its payload.
  func matches(
    _ fields: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, depth: Int
  ) throws(RoostError) -> Bool {
    if tests.count <= 64 {
      var word: UInt64 = 0
      return try withUnsafeMutablePointer(to: &word) { (word) throws(RoostError) in
        try matches(fields, id, depth, Outcomes(words: UnsafeMutableBufferPointer(start: word, count: 1)))
      }
    }
    // At most 4096 tests, 512 bytes: the allocation is on the stack.
    let count = (tests.count + 63) / 64
    return try withUnsafeTemporaryAllocation(of: UInt64.self, capacity: count) { (words) throws(RoostError) in
      words.initialize(repeating: 0)
      return try matches(fields, id, depth, Outcomes(words: words))
    }
  }

  /// Which tests passed so far, a bit each.
  private struct Outcomes {
    let words: UnsafeMutableBufferPointer<UInt64>

    @inline(__always)
    func set(_ test: Int) { words[test >> 6] |= 1 << UInt64(test & 63) }

    @inline(__always)
    func isSet(_ test: Int) -> Bool { words[test >> 6] >> UInt64(test & 63) & 1 == 1 }
  }

  @inline(__always)
  private func matches(
    _ fields: UnsafeRawBufferPointer, _ id: UnsafeRawBufferPointer, _ depth: Int, _ outcomes: Outcomes
  ) throws(RoostError) -> Bool {
    if !tests.isEmpty {
      var reader = ByteReader(fields)
      try walk(&reader, id, parent: 0, depth: depth, outcomes)
    }
    return run(outcomes, id)
  }

  /// Goes through the fields of a map beside the children of a node. Stops behind the last field that
  /// can matter, so the reader is left anywhere inside the map.
  private func walk(
    _ reader: inout ByteReader, _ id: UnsafeRawBufferPointer, parent: Int, depth: Int, _ outcomes: Outcomes
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
      try visit(&reader, id, child, depth: depth, outcomes)
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
    _ reader: inout ByteReader, _ id: UnsafeRawBufferPointer, _ node: Int, depth: Int, _ outcomes: Outcomes
  ) throws(RoostError) {
    let start = reader.offset
    guard depth <= Limits.payloadDepthMax else {
      throw RoostError(
        .corrupted, "values nest deeper than \(Limits.payloadDepthMax)", at: "payload byte \(start)")
    }
    let value: ScalarView
    switch try reader.u8() {
    case ValueTag.array:
      var elements = ByteReader(try reader.bytes(Int(try reader.u32())))
      let count = try elements.count("array count", atMost: Limits.payloadBytesMax)
      for _ in 0..<count { try visit(&elements, id, node, depth: depth + 1, outcomes) }
      return
    case ValueTag.map:
      let content = try reader.bytes(Int(try reader.u32()))
      for test in nodes[node].tests.start..<nodes[node].tests.end {
        try enter(content, id, test: Int(test), depth: depth + 1, outcomes)
      }
      guard nodes[node].children.start != nodes[node].children.end else { return }
      var fields = ByteReader(content)
      return try walk(&fields, id, parent: node, depth: depth + 1, outcomes)
    case let tag: value = try ScalarView(tag: tag, from: &reader)
    }
    for test in nodes[node].tests.start..<nodes[node].tests.end
    where !outcomes.isSet(Int(test)) && constants.passes(tests[Int(test)], value) {
      outcomes.set(Int(test))
    }
  }

  /// Runs a test that a map can pass.
  private func enter(
    _ fields: UnsafeRawBufferPointer, _ id: UnsafeRawBufferPointer, test: Int, depth: Int,
    _ outcomes: Outcomes
  ) throws(RoostError) {
    switch tests[test].kind {
    case .hasValue: outcomes.set(test)
    case .nested where !outcomes.isSet(test):
      if try inner[Int(tests[test].index)].matches(fields, id: id, depth: depth) { outcomes.set(test) }
    default: break
    }
  }

  @inline(__always)
  private func run(_ outcomes: Outcomes, _ id: UnsafeRawBufferPointer) -> Bool {
    var accumulator = true
    var position = 0
    while position < steps.count {
      switch steps[position] {
      case .constant(let value): accumulator = value
      case .load(let test): accumulator = outcomes.isSet(Int(test))
      case .hasID(let set): accumulator = constants.containsID(set, id)
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
