// Collects the attributes of rows while a segment is written. One pass over each encoded payload puts every
// scalar into the column of its path and type.

import Core

/// Which paths are indexed, and what has been collected of them.
///
/// Safety of `@unchecked Sendable`: confined to the one task that writes the segment, and to the worker that
/// it waits for.
final class AttributeBuilder: @unchecked Sendable {
  /// Memory for what is collected; beyond it the largest path is given up.
  static let bytesMax = 256 << 20
  private static let pathsCheckedEvery = 1024

  /// One name in the tree of paths.
  private struct Node {
    var name: [UInt8]
    var children: [Int] = []
    /// The child that came last: records tend to have the same fields in the same order.
    var cursor = 0
    /// Whether the path of this node is collected.
    var isWanted: Bool
    var isDropped = false
    var columns: [AttributeKind: AttributeColumnBuilder] = [:]
    var lastRow: UInt32?
    var lastValueRow: UInt32?
    var lastStringRow: UInt32?
    var hasTokens = true
    var byteCount: Int { columns.values.reduce(0) { $0 + $1.byteCount } }
  }

  private let indexing: AttributeIndexing
  private let bytesMax: Int
  private var nodes = [Node(name: [], isWanted: false)]
  private var pathCount = 0
  /// Whether some path was met that there was no room for.
  private var isOverflown = false
  /// The word at hand.
  private let word = IOBuffer(count: AttributeColumnBuilder.keyBytesMax)
  private(set) var rowCount = 0

  init(_ indexing: AttributeIndexing, bytesMax: Int = AttributeBuilder.bytesMax) throws(RoostError) {
    self.indexing = indexing
    self.bytesMax = bytesMax
    if case .fields(let fields) = indexing {
      for field in fields { want(try FieldPath(field).names.map { Array($0.utf8) }) }
    }
  }

  /// Adds the next row. Throws `.corrupted` when the payload is malformed.
  func add(_ payload: UnsafeRawBufferPointer) throws(RoostError) {
    defer { rowCount += 1 }
    if indexing == .none { return }
    var reader = ByteReader(payload)
    try addMap(&reader, parent: 0, depth: 0)
    if rowCount % Self.pathsCheckedEvery == 0 { giveUpLargest() }
  }

  private func want(_ names: [[UInt8]]) {
    var node = 0
    for name in names {
      node =
        names.isEmpty ? node : existingChild(of: node, named: name) ?? append(name, to: node, wanted: false)
    }
    nodes[node].isWanted = true
    pathCount += 1
  }

  private func append(_ name: [UInt8], to parent: Int, wanted: Bool) -> Int {
    nodes.append(Node(name: name, isWanted: wanted))
    nodes[parent].children.append(nodes.count - 1)
    return nodes.count - 1
  }

  private func existingChild(of parent: Int, named name: [UInt8]) -> Int? {
    nodes[parent].children.first { nodes[$0].name == name }
  }

  /// The node of a field; nil when nothing below it is collected.
  private func child(of parent: Int, named name: UnsafeRawBufferPointer) -> Int? {
    let children = nodes[parent].children
    let count = children.count
    var position = nodes[parent].cursor
    for _ in 0..<count {
      if position >= count { position = 0 }
      let child = children[position]
      if nodes[child].name.withUnsafeBytes({ compareBytes($0, name) == 0 }) {
        nodes[parent].cursor = position + 1
        return child
      }
      position += 1
    }
    guard indexing == .all else { return nil }
    guard pathCount < Limits.attributePathsMax else {
      isOverflown = true
      return nil
    }
    pathCount += 1
    return append(Array(name), to: parent, wanted: true)
  }

  private func addMap(_ reader: inout ByteReader, parent: Int, depth: Int) throws(RoostError) {
    let count = try reader.count("field count", atMost: Limits.payloadFieldsMax)
    for _ in 0..<count {
      let name = try reader.bytes(try reader.count("field name", atMost: Limits.fieldNameBytesMax))
      guard let node = child(of: parent, named: name) else {
        try Value.skip(&reader)
        continue
      }
      if nodes[node].lastRow != UInt32(rowCount) {
        nodes[node].lastRow = UInt32(rowCount)
        add(.present, to: node) { $0.add(key: 0, row: $1) }
      }
      try addValue(&reader, node, depth: depth)
    }
  }

  private func addValue(_ reader: inout ByteReader, _ node: Int, depth: Int) throws(RoostError) {
    let start = reader.offset
    guard depth <= Limits.payloadDepthMax else {
      throw RoostError(
        .corrupted, "values nest deeper than \(Limits.payloadDepthMax)", at: "payload byte \(start)")
    }
    let tag = try reader.u8()
    if tag != ValueTag.null, tag != ValueTag.array, nodes[node].lastValueRow != UInt32(rowCount) {
      nodes[node].lastValueRow = UInt32(rowCount)
      add(.value, to: node) { $0.add(key: 0, row: $1) }
    }
    switch tag {
    case ValueTag.null: add(.null, to: node) { $0.add(key: 0, row: $1) }
    case ValueTag.boolFalse: add(.bool, to: node) { $0.add(key: 0, row: $1) }
    case ValueTag.boolTrue: add(.bool, to: node) { $0.add(key: 1, row: $1) }
    case ValueTag.int:
      let value = try reader.i64()
      add(.int, to: node) { $0.add(key: AttributeKey.int(value), row: $1) }
    case ValueTag.double:
      let value = try reader.f64()
      add(.double, to: node) { $0.add(key: AttributeKey.double(value), row: $1) }
    case ValueTag.datetime:
      let value = try reader.i64()
      add(.datetime, to: node) { $0.add(key: AttributeKey.int(value), row: $1) }
    case ValueTag.string:
      let text = try reader.bytes(try reader.count("string", atMost: Limits.payloadBytesMax))
      add(.string, to: node) { $0.add(text, row: $1) }
      addWords(of: text, node)
    case ValueTag.bytes:
      let bytes = try reader.bytes(try reader.count("bytes", atMost: Limits.payloadBytesMax))
      add(.bytes, to: node) { $0.add(bytes, row: $1) }
    case ValueTag.geo:
      let latitude = try reader.f64()
      let longitude = try reader.f64()
      add(.geo, to: node) { $0.add(latitude: latitude, longitude: longitude, row: $1) }
    case ValueTag.array:
      var elements = ByteReader(try reader.bytes(Int(try reader.u32())))
      let count = try elements.count("array count", atMost: Limits.payloadBytesMax)
      for _ in 0..<count { try addValue(&elements, node, depth: depth + 1) }
    case ValueTag.map:
      var fields = ByteReader(try reader.bytes(Int(try reader.u32())))
      try addMap(&fields, parent: node, depth: depth + 1)
    default: throw RoostError(.corrupted, "unknown value tag \(tag)", at: "payload byte \(start)")
    }
  }

  private func addWords(of text: UnsafeRawBufferPointer, _ node: Int) {
    guard nodes[node].isWanted, !nodes[node].isDropped, nodes[node].hasTokens else { return }
    let isAnother = nodes[node].lastStringRow == UInt32(rowCount)
    nodes[node].lastStringRow = UInt32(rowCount)
    add(.token, to: node) { column, row in
      if isAnother { column.hasManyPerRow = true }
      var tokenizer = TextTokenizer(text)
      while let token = tokenizer.next(into: word.mutableBytes) {
        if token.isWhole {
          column.add(word.bytes(0..<token.count), row: row)
        } else {
          column.isPartial = true
        }
      }
    }
  }

  @inline(__always)
  private func add(
    _ kind: AttributeKind, to node: Int, _ body: (inout AttributeColumnBuilder, UInt32) -> Void
  ) {
    guard nodes[node].isWanted, !nodes[node].isDropped else { return }
    body(&nodes[node].columns[kind, default: AttributeColumnBuilder(kind)], UInt32(rowCount))
  }

  /// Keeps the memory within its bound: the words of the wordiest path go first, then the largest path.
  private func giveUpLargest() {
    var total = nodes.reduce(0) { $0 + $1.byteCount }
    while total > bytesMax {
      func words(_ node: Int) -> Int {
        nodes[node].hasTokens ? nodes[node].columns[.token]?.byteCount ?? 0 : 0
      }
      guard let wordiest = nodes.indices.max(by: { words($0) < words($1) }),
        let largest = nodes.indices.max(by: { nodes[$0].byteCount < nodes[$1].byteCount })
      else { return }
      if words(wordiest) > 0 {
        total -= words(wordiest)
        nodes[wordiest].hasTokens = false
        var none = AttributeColumnBuilder(.token)
        none.isPartial = true
        nodes[wordiest].columns[.token] = none
        total += none.byteCount
      } else if nodes[largest].isDropped {
        return
      } else {
        total -= nodes[largest].byteCount
        nodes[largest].isDropped = true
        nodes[largest].columns = [:]
      }
    }
  }

  // MARK: writing

  /// Everything collected, column by column.
  func paths() -> [AttributePath] {
    var found: [AttributePath] = []
    func visit(_ node: Int, _ names: [String]) {
      for child in nodes[node].children {
        // A name that is no UTF-8 cannot be asked for; payloads are checked when they are put.
        let names = names + [String(decoding: nodes[child].name, as: UTF8.self)]
        if nodes[child].isWanted, let path = try? FieldPath(names: names) {
          found.append(AttributePath(path: path, node: child, isDropped: nodes[child].isDropped))
        }
        visit(child, names)
      }
    }
    visit(0, [])
    return found.sorted { $0.path.text.utf8.lexicographicallyPrecedes($1.path.text.utf8) }
  }

  /// Whether a path that is not among `paths` may still be in some row.
  var isIncomplete: Bool {
    indexing == .all ? isOverflown : true
  }

  /// Hands the columns of a path over, one after the other, and forgets them.
  func takeColumns(of path: AttributePath) -> [AttributeColumnBuilder] {
    defer { nodes[path.node].columns = [:] }
    return nodes[path.node].columns.values.sorted { $0.kind.rawValue < $1.kind.rawValue }
  }
}

/// A path that was collected.
struct AttributePath: Sendable {
  var path: FieldPath
  fileprivate var node: Int
  var isDropped: Bool
}
