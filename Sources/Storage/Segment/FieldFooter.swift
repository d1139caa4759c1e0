// The part of a segment's footer that is about one vector field. `spec/storage.md`, "Footer".

import Core

struct FieldFooter: Sendable, Equatable {
  var dimension = 0
  var element = VectorElement.f32
  var metric = Metric.l2
  var degree = 0
  /// Rows that have a vector of this field.
  var nodeCount = 0
  /// Nodes where graph search starts.
  var entryPoints: [UInt32] = []
  /// Node blocks: vector and neighbours (`spec/graph.md`).
  var nodes = Section(firstPage: 0, byteCount: 0)
  /// Quantized codes, held in memory when the nodes are read from disk.
  var codes = Section(firstPage: 0, byteCount: 0)
  /// For each node, codes of its neighbours; empty where there are none.
  var links = Section(firstPage: 0, byteCount: 0)
  /// The row of each node and the node of each row, u32 each; empty for the first field.
  var nodeRows = Section(firstPage: 0, byteCount: 0)
  var rowNodes = Section(firstPage: 0, byteCount: 0)

  var sections: [Section] { [nodes, codes, links, nodeRows, rowNodes] }

  init() {}

  init(_ field: VectorField) {
    dimension = field.dimension
    element = field.element
    metric = field.metric
    degree = field.degree
  }

  /// Whether the field of the schema has vectors like these.
  func fits(_ field: VectorField) -> Bool {
    dimension == field.dimension && element == field.element && metric == field.metric
  }

  func encode(into writer: inout ByteWriter) {
    writer.u8(element.rawValue)
    writer.u8(metric.rawValue)
    writer.u32(UInt32(dimension))
    writer.u32(UInt32(degree))
    writer.u32(UInt32(nodeCount))
    writer.u8(UInt8(entryPoints.count))
    for node in entryPoints { writer.u32(node) }
    for section in sections { section.encode(into: &writer) }
  }

  init(from reader: inout ByteReader) throws(RoostError) {
    guard let element = VectorElement(rawValue: try reader.u8()),
      let metric = Metric(rawValue: try reader.u8())
    else { throw RoostError(.corrupted, "unknown vector element or metric") }
    self.element = element
    self.metric = metric
    dimension = Int(try reader.u32())
    degree = Int(try reader.u32())
    guard (1...Limits.dimensionMax).contains(dimension), (1...1024).contains(degree),
      dimension % element.dimensionStep == 0, element.metrics.contains(metric)
    else {
      throw RoostError(.corrupted, "dimension \(dimension) or degree \(degree) is impossible")
    }
    nodeCount = Int(try reader.u32())
    for _ in 0..<(try reader.u8()) { entryPoints.append(try reader.u32()) }
    guard entryPoints.allSatisfy({ Int($0) < nodeCount }) else {
      throw RoostError(.corrupted, "an entry point does not exist")
    }
    nodes = try Section(from: &reader)
    codes = try Section(from: &reader)
    links = try Section(from: &reader)
    nodeRows = try Section(from: &reader)
    rowNodes = try Section(from: &reader)
  }
}

extension Section {
  func encode(into writer: inout ByteWriter) {
    writer.u32(UInt32(firstPage))
    writer.u64(UInt64(byteCount))
  }

  init(from reader: inout ByteReader) throws(RoostError) {
    firstPage = Int(try reader.u32())
    let count = try reader.u64()
    guard count < 1 << 48 else { throw RoostError(.corrupted, "a section of \(count) bytes") }
    byteCount = Int(count)
  }
}
