// Stands in until Graph/SegmentGraph.swift lands. Whoever brings that file: delete this one; the storage engine calls
// GraphSectionWriter.write, SegmentGraph.open/search/exactSearch/vectorBytes/forEachNode/verifyMapped/residentBytes as
// declared here (add them as extensions: search and exactSearch pick mapped or paged by file.isMapped, return pages read).
import Core
enum GraphSectionWriter {
  static func write(_ graph: GrowingGraph, order: [UInt32], shape: VectorShape, degree: Int, to writer: PagedFileWriter, workers: any Workers) async throws(RoostError) -> (nodes: Section, codes: Section, entryPoints: [UInt32]) {
    writer.beginSection()
    var map: [UInt32: UInt32] = [:]
    for (i, r) in order.enumerated() { map[r] = UInt32(i) }
    for r in order {
      var w = ByteWriter()
      w.raw(UnsafeRawBufferPointer(start: graph.vectors.pointer(Int(r)), count: shape.rowBytes))
      var list = [UInt32](repeating: 0, count: graph.neighboursMax)
      let n = graph.neighbours(of: r, into: &list)
      let mapped = list[..<n].compactMap { map[$0] }.prefix(degree)
      w.u32(UInt32(mapped.count))
      for m in mapped { w.u32(m) }
      for _ in mapped.count..<degree { w.u32(0) }
      try await writer.append(w.bytes)
    }
    let nodes = try await writer.endSection()
    let codes = try await writer.section([])
    return (nodes, codes, graph.entry.flatMap { map[$0] }.map { [$0] } ?? (order.isEmpty ? [] : [0]))
  }
}
final class SegmentGraph: Sendable, NodeSource {
  let file: PagedFile, nodes: Section, shape: VectorShape, degree: Int, rowCount: Int, entryPoints: [UInt32], block: Int
  let distance: DistanceFunction
  let pool = ScratchPool()
  var neighboursMax: Int { degree }
  init(file: PagedFile, nodes: Section, shape: VectorShape, degree: Int, count: Int, entryPoints: [UInt32]) {
    self.file = file; self.nodes = nodes; self.shape = shape; self.degree = degree; rowCount = count; self.entryPoints = entryPoints
    block = shape.rowBytes + 4 + 4 * degree
    distance = DistanceFunction(shape)
  }
  static func open(file: PagedFile, nodes: Section, codes: Section, shape: VectorShape, degree: Int, count: Int, entryPoints: [UInt32]) async throws(RoostError) -> SegmentGraph {
    SegmentGraph(file: file, nodes: nodes, shape: shape, degree: degree, count: count, entryPoints: entryPoints)
  }
  func bytes(_ row: UInt32) throws(RoostError) -> UnsafeRawBufferPointer { try file.bytes(nodes, Int(row) * block..<(Int(row) + 1) * block) }
  func vector(_ row: UInt32) throws(RoostError) -> UnsafeRawPointer { try bytes(row).baseAddress! }
  func neighbours(of row: UInt32, into list: UnsafeMutablePointer<UInt32>) throws(RoostError) -> Int {
    let b = try bytes(row)
    let n = Int(b.loadUnaligned(fromByteOffset: shape.rowBytes, as: UInt32.self))
    for i in 0..<n { list[i] = b.loadUnaligned(fromByteOffset: shape.rowBytes + 4 + i * 4, as: UInt32.self) }
    return n
  }
  func prefetchNeighbours(of row: UInt32) {}
  func search<A: RowAcceptor>(query: UnsafeRawPointer, k: Int, effort: Int, acceptor: inout A, results: inout [Candidate]) async throws(RoostError) -> Int {
    try pool.with { (s) throws(RoostError) in try bestFirstSearch(from: entryPoints, query: query, k: k, effort: effort, acceptor: &acceptor, scratch: s, results: &results) }
    return 0
  }
  func exactSearch<A: RowAcceptor>(rows: Range<Int>, query: UnsafeRawPointer, k: Int, acceptor: inout A, results: inout [Candidate]) async throws(RoostError) -> Int {
    try pool.with { (s) throws(RoostError) in try exactSearch(rows: rows.lazy.map { UInt32($0) }, query: query, k: k, acceptor: &acceptor, scratch: s, results: &results) }
    return 0
  }
  func vectorBytes(row: UInt32) async throws(RoostError) -> [UInt8] { Array(UnsafeRawBufferPointer(start: try vector(row), count: shape.rowBytes)) }
  func forEachNode(_ body: (UInt32, UnsafeRawBufferPointer, [UInt32]) -> Void) async throws(RoostError) {
    var list = [UInt32](repeating: 0, count: degree)
    for r in 0..<UInt32(rowCount) {
      let n = try neighbours(of: r, into: &list)
      body(r, UnsafeRawBufferPointer(start: try vector(r), count: shape.rowBytes), Array(list[..<n]))
    }
  }
  func verifyMapped() throws(RoostError) {}
  var residentBytes: Int { 0 }
}
