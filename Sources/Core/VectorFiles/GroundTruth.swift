// The true neighbours of a set of queries, as benchmarks come with them.

/// True neighbours, nearest first: `ids` and `distances` are `[queries × k]`.
public struct GroundTruth: Sendable, Equatable {
  public let queries: Int
  public let k: Int
  public let ids: [UInt32]
  /// In the metric of the benchmark; empty when the file holds none.
  public let distances: [Float]

  /// A file beyond this is not read: it is kept in memory whole.
  public static let bytesMax: UInt64 = 1 << 30

  /// The ids of the neighbours of one query, `[k]`.
  public func ids(ofQuery query: Int) -> ArraySlice<UInt32> { ids[query * k..<(query + 1) * k] }

  public init(queries: Int, k: Int, ids: [UInt32], distances: [Float] = []) {
    precondition(ids.count == queries * k && (distances.isEmpty || distances.count == ids.count))
    self.queries = queries
    self.k = k
    self.ids = ids
    self.distances = distances
  }

  /// Reads `.ibin` (big-ann-benchmarks: u32 queries, u32 k, ids, then f32 distances, which may be missing)
  /// or `.ivecs` (TEXMEX: per query an i32 k and that many ids).
  /// Throws `.invalidArgument` with file and offset when the file is not what it says.
  public static func read(_ path: String, files: any FileSystem) async throws(RoostError) -> GroundTruth {
    let isRows = path.lowercased().hasSuffix(".ivecs")
    guard isRows || path.lowercased().hasSuffix(".ibin") else {
      throw RoostError(
        .invalidArgument, "the extension names no ground truth", at: path,
        remedy: "the formats are .ibin, .ivecs")
    }
    let file = try await files.open(path, .read)
    let buffer: IOBuffer
    let read: Int
    do throws(RoostError) {
      let size = try await file.size()
      guard size <= bytesMax else {
        throw RoostError(.limitExceeded, "ground truth of \(size) bytes, the limit is \(bytesMax)", at: path)
      }
      buffer = IOBuffer(count: Int(size))
      read = try await file.read(into: buffer, range: 0..<buffer.count, at: 0)
    } catch {
      await file.close()
      throw error
    }
    await file.close()
    if isRows { return try GroundTruth(ivecs: buffer.bytes(0..<read), path: path) }
    return try GroundTruth(ibin: buffer.bytes(0..<read), path: path)
  }

  init(ibin bytes: UnsafeRawBufferPointer, path: String) throws(RoostError) {
    guard bytes.count >= 8 else {
      throw VectorFileLayout.refuse(
        "the file has \(bytes.count) bytes, its header alone needs 8", path, offset: 0)
    }
    var reader = ByteReader(bytes)
    let queries = UInt64(try reader.u32())
    let k = UInt64(try reader.u32())
    guard k > 0 else { throw VectorFileLayout.refuse("k is 0", path, offset: 4) }
    // At most 2^64 - 2^33 + 1 cells, so cells fit, and bytes are compared without multiplying.
    let cells = queries * k
    let rest = UInt64(reader.remaining)
    guard rest % 4 == 0, rest / 4 == cells || (rest % 8 == 0 && rest / 8 == cells) else {
      throw VectorFileLayout.refuse(
        "\(queries) queries with \(k) neighbours do not fill a file of \(bytes.count) bytes", path, offset: 8)
    }
    let hasDistances = rest / 4 != cells
    var ids: [UInt32] = []
    ids.reserveCapacity(Int(cells))
    for _ in 0..<cells { ids.append(try reader.u32()) }
    var distances: [Float] = []
    if hasDistances { for _ in 0..<cells { distances.append(try reader.f32()) } }
    self.init(queries: Int(queries), k: Int(k), ids: ids, distances: distances)
  }

  init(ivecs bytes: UnsafeRawBufferPointer, path: String) throws(RoostError) {
    var reader = ByteReader(bytes)
    var ids: [UInt32] = []
    var k = 0
    var queries = 0
    while !reader.isAtEnd {
      let start = UInt64(reader.offset)
      guard reader.remaining >= 4 else {
        throw VectorFileLayout.refuse("the last row is cut off", path, offset: start)
      }
      let found = Int(try reader.integer(Int32.self))
      if queries == 0 { k = found }
      guard found > 0, found == k else {
        throw VectorFileLayout.refuse(
          queries == 0 ? "k is \(found)" : "row \(queries) has \(found) ids, the rows before it have \(k)",
          path,
          offset: start)
      }
      guard reader.remaining / 4 >= k else {
        throw VectorFileLayout.refuse("the last row is cut off", path, offset: start)
      }
      for _ in 0..<k { ids.append(try reader.u32()) }
      queries += 1
    }
    guard queries > 0 else { throw VectorFileLayout.refuse("the file is empty", path, offset: 0) }
    self.init(queries: queries, k: k, ids: ids)
  }
}
