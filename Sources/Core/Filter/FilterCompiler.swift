// Turns a filter into the flat tables of CompiledFilter. Runs once per query.

/// Collects tests by path, then numbers them so that the tests of a path are neighbours.
struct FilterCompiler {
  struct Layout {
    var tests: [FilterTest] = []
    var nodes: [CompiledFilter.PathNode] = []
    var names: [UInt8] = []
    var program: [CompiledFilter.Instruction] = []
  }

  /// A path under construction.
  fileprivate struct Branch {
    var name: [UInt8]
    var children: [Branch] = []
    /// Positions in `found`.
    var tests: [Int] = []

    mutating func insert(_ test: Int, at names: ArraySlice<String>) {
      guard let first = names.first else {
        tests.append(test)
        return
      }
      let name = Array(first.utf8)
      var index = children.firstIndex { $0.name == name } ?? children.count
      if index == children.count {
        index = children.firstIndex { name.lexicographicallyPrecedes($0.name) } ?? children.count
        children.insert(Branch(name: name), at: index)
      }
      children[index].insert(test, at: names.dropFirst())
    }
  }

  private(set) var constants = FilterConstants()
  private var found: [FilterTest] = []
  private var root = Branch(name: [])
  private var program: [CompiledFilter.Instruction] = []

  mutating func compile(_ filter: Filter) throws(RoostError) {
    switch filter {
    case .equals(let field, let value): try add(constants.addSet([value]), at: field)
    case .isIn(let field, let values): try add(constants.addSet(values), at: field)
    case .range(let field, let range): try add(constants.addRange(range), at: field)
    case .exists(let field): try add(FilterTest(kind: .exists), at: field)
    case .not(let part):
      try compile(part)
      program.append(.invert)
    case .and(let parts): try compile(parts, whenEmpty: true) { .jumpIfFalse($0) }
    case .or(let parts): try compile(parts, whenEmpty: false) { .jumpIfTrue($0) }
    }
  }

  private mutating func add(_ test: FilterTest, at field: String) throws(RoostError) {
    root.insert(found.count, at: try FieldPath(field).names[...])
    program.append(.load(test: Int32(found.count)))
    found.append(test)
  }

  private mutating func compile(
    _ parts: [Filter], whenEmpty: Bool, jump: (Int32) -> CompiledFilter.Instruction
  ) throws(RoostError) {
    guard !parts.isEmpty else {
      program.append(.constant(whenEmpty))
      return
    }
    var jumps: [Int] = []
    for (index, part) in parts.enumerated() {
      try compile(part)
      if index < parts.count - 1 {
        jumps.append(program.count)
        program.append(jump(0))
      }
    }
    for position in jumps { program[position] = jump(Int32(program.count)) }
  }

  func layOut() -> Layout {
    var layout = Layout()
    var newNumbers = [Int32](repeating: 0, count: found.count)
    layout.nodes.append(CompiledFilter.PathNode())
    // Breadth first: the children of a node are laid out together, and each node's tests with it.
    var queue: [(position: Int, branch: Branch)] = [(0, root)]
    var next = 0
    while next < queue.count {
      let (position, branch) = queue[next]
      next += 1
      let firstTest = Int32(layout.tests.count)
      for test in branch.tests {
        newNumbers[test] = Int32(layout.tests.count)
        layout.tests.append(found[test])
      }
      layout.nodes[position].tests = PoolRange(start: firstTest, end: Int32(layout.tests.count))
      let firstChild = layout.nodes.count
      for child in branch.children {
        let start = Int32(layout.names.count)
        layout.names += child.name
        var node = CompiledFilter.PathNode()
        node.name = PoolRange(start: start, end: Int32(layout.names.count))
        queue.append((layout.nodes.count, child))
        layout.nodes.append(node)
      }
      layout.nodes[position].children = PoolRange(start: Int32(firstChild), end: Int32(layout.nodes.count))
    }
    layout.program = program.map { instruction in
      if case .load(let test) = instruction { .load(test: newNumbers[Int(test)]) } else { instruction }
    }
    return layout
  }
}
