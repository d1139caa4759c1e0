// Which row of a segment each node of a field's graph is, and the other way round. `spec/storage.md`, "Vector
// fields".

import Core

/// A field of a segment: its graph, which numbers its own nodes, and their rows.
struct SegmentField: Sendable {
  let graph: SegmentGraph
  let rows: NodeRows

  /// Memory held besides mapped pages.
  var residentBytes: Int { graph.residentBytes + rows.residentBytes }
}

enum NodeRows: Sendable {
  /// Of a row that has no vector.
  static let none = UInt32.max

  /// Of the first field: node `n` is row `n`, and rows from `count` on have no vector.
  case same(count: Int)
  /// Of another field: by two sections of u32, the row of each node and the node of each row, or `none`.
  case mapped(PagedFile, rows: Section, nodes: Section, count: Int, rowCount: Int)
  /// The same in memory, of a segment that is read page by page.
  case held(rows: [UInt32], nodes: [UInt32])

  /// Reads the sections of a segment that is not mapped; refuses numbers that do not exist with `.corrupted`.
  static func read(
    _ file: PagedFile, rows: Section, nodes: Section, count: Int, rowCount: Int
  ) async throws(RoostError) -> NodeRows {
    let held = NodeRows.held(
      rows: try await numbers(file, rows, below: rowCount, orNone: false),
      nodes: try await numbers(file, nodes, below: count, orNone: true))
    return held
  }

  private static func numbers(
    _ file: PagedFile, _ section: Section, below limit: Int, orNone: Bool
  ) async throws(RoostError) -> [UInt32] {
    var numbers: [UInt32] = []
    numbers.reserveCapacity(section.byteCount / 4)
    let pieceBytes = 1 << 20
    for start in stride(from: 0, to: section.byteCount, by: pieceBytes) {
      let piece = try await file.readApart(section, start..<min(start + pieceBytes, section.byteCount))
      for offset in stride(from: 0, to: piece.bytes.count, by: 4) {
        let number = UInt32(littleEndian: piece.bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        guard Int(number) < limit || orNone && number == none else {
          throw .corrupted(
            "number \(number) of \(limit) in the rows of a vector field", file: file.path,
            offset: UInt64(section.firstPage * PagedFile.pageBytes + start + offset))
        }
        numbers.append(number)
      }
    }
    return numbers
  }

  /// Whether nodes and rows have the same numbers.
  var isSame: Bool { if case .same = self { true } else { false } }

  /// Nodes, which are the rows that have a vector.
  var count: Int {
    switch self {
    case .same(let count), .mapped(_, _, _, let count, _): count
    case .held(let rows, _): rows.count
    }
  }

  var residentBytes: Int {
    if case .held(let rows, let nodes) = self { (rows.count + nodes.count) * 4 } else { 0 }
  }

  func row(ofNode node: UInt32) throws(RoostError) -> UInt32 {
    switch self {
    case .same: return node
    case .held(let rows, _): return rows[Int(node)]
    case .mapped(let file, let rows, _, _, let rowCount):
      let row = try file.integer(rows, Int(node), as: UInt32.self)
      guard Int(row) < rowCount else { throw damaged("node \(node) is said to be row \(row)", file, rows) }
      return row
    }
  }

  func node(ofRow row: Int) throws(RoostError) -> UInt32? {
    switch self {
    case .same(let count): return row < count ? UInt32(row) : nil
    case .held(_, let nodes): return nodes[row] == Self.none ? nil : nodes[row]
    case .mapped(let file, _, let nodes, let count, _):
      let node = try file.integer(nodes, row, as: UInt32.self)
      if node == Self.none { return nil }
      guard Int(node) < count else { throw damaged("row \(row) is said to be node \(node)", file, nodes) }
      return node
    }
  }

  /// Checks that the two directions agree.
  func verify() throws(RoostError) {
    guard case .mapped(let file, let rows, let nodes, let count, let rowCount) = self else { return }
    for node in 0..<UInt32(count) {
      let row = try row(ofNode: node)
      guard try self.node(ofRow: Int(row)) == node else {
        throw damaged("node \(node) and row \(row) do not agree", file, rows)
      }
    }
    var found = 0
    for row in 0..<rowCount where try node(ofRow: row) != nil { found += 1 }
    guard found == count else { throw damaged("\(found) rows for \(count) nodes", file, nodes) }
  }

  private func damaged(_ message: String, _ file: PagedFile, _ section: Section) -> RoostError {
    .corrupted(message, file: file.path, offset: UInt64(section.firstPage * PagedFile.pageBytes))
  }
}

/// Lets an acceptor of rows judge nodes.
struct MappedAcceptor<Base: RowAcceptor>: RowAcceptor {
  var base: Base
  let rows: NodeRows
  private var translated: [UInt32] = []

  init(_ base: Base, rows: NodeRows) {
    self.base = base
    self.rows = rows
  }

  var acceptsAll: Bool { base.acceptsAll }
  var needsPreparing: Bool { base.needsPreparing }

  mutating func prepare(_ nodes: [UInt32]) async throws(RoostError) {
    var prepared: [UInt32] = []
    prepared.reserveCapacity(nodes.count)
    for node in nodes { prepared.append(try rows.row(ofNode: node)) }
    try await base.prepare(prepared)
  }

  mutating func accept(
    rows nodes: UnsafeBufferPointer<UInt32>, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    translated.removeAll(keepingCapacity: true)
    for node in nodes { translated.append(try rows.row(ofNode: node)) }
    try translated.withUnsafeBufferPointer { (rows) throws(RoostError) in
      try base.accept(rows: rows, verdicts: verdicts)
    }
  }
}
