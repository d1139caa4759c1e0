// Turns a filter into the flat tables of FilterProgram. Runs once per query.

/// Collects tests by path, then numbers them so that the tests of a path are neighbours.
struct FilterCompiler {
  struct Layout {
    var tests: [FilterTest] = []
    var nodes: [FilterProgram.PathNode] = []
    var names: [UInt8] = []
    var program: [FilterProgram.Instruction] = []
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
  private(set) var inner: [FilterProgram] = []
  private var found: [FilterTest] = []
  private var root = Branch(name: [])
  private var program: [FilterProgram.Instruction] = []

  mutating func compile(_ filter: Filter) {
    switch filter {
    case .field(let path, let predicate): add(test(predicate), at: path)
    case .nested(let path, let part):
      inner.append(FilterProgram(part))
      add(FilterTest(kind: .nested, index: Int32(inner.count - 1)), at: path)
    case .hasID(let ids): program.append(.hasID(set: constants.addIDs(ids)))
    case .not(let part):
      compile(part)
      program.append(.invert)
    case .and(let parts): compile(parts, whenEmpty: true) { .jumpIfFalse($0) }
    case .or(let parts): compile(parts, whenEmpty: false) { .jumpIfTrue($0) }
    }
  }

  private mutating func test(_ predicate: FieldPredicate) -> FilterTest {
    switch predicate {
    case .exists: FilterTest(kind: .exists)
    case .hasValue: FilterTest(kind: .hasValue)
    case .equals(let value): constants.addSet([value])
    case .isIn(let values): constants.addSet(values)
    case .range(let range): constants.addRange(range)
    case .text(let match): constants.addWords(match)
    case .within(let area): constants.addRegion(area)
    }
  }

  private mutating func add(_ test: FilterTest, at path: FieldPath) {
    root.insert(found.count, at: path.names[...])
    program.append(.load(test: Int32(found.count)))
    found.append(test)
  }

  private mutating func compile(
    _ parts: [Filter], whenEmpty: Bool, jump: (Int32) -> FilterProgram.Instruction
  ) {
    guard !parts.isEmpty else {
      program.append(.constant(whenEmpty))
      return
    }
    var jumps: [Int] = []
    for (index, part) in parts.enumerated() {
      compile(part)
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
    layout.nodes.append(FilterProgram.PathNode())
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
        var node = FilterProgram.PathNode()
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
