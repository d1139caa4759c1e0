// The entries for fuzzing what is read back from disk: whatever bytes come, they are read or refused with
// a typed error.

import Core

package enum StorageFuzz {
  /// A log as it lies on disk. The first byte picks WAL or manifest; the second, when odd, makes the rest the
  /// body of one good frame, so that what lies behind the checksum is reached.
  package static func log(_ input: [UInt8]) {
    guard input.count >= 2 else { return }
    let kind: LogFormat.Kind = input[0] & 1 == 0 ? .wal : .manifest
    var bytes = Array(input[2...])
    if input[1] & 1 == 1 {
      var writer = ByteWriter()
      writer.raw(LogFormat.encodeHeader(kind: kind, number: 1))
      LogFormat.encodeFrame(bytes, sequence: 1, syncedThrough: 0, into: &writer)
      bytes = writer.bytes
    }
    bytes.withUnsafeBytes { raw in
      _ = try? LogReader.scan(raw, path: "fuzz", kind: kind, number: 1, exactLength: nil) {
        (frame) throws(RoostError) in
        switch kind {
        case .wal: _ = try WriteBatch.decode(frame.body, rowBytes: [16, 2])
        case .manifest: checkManifest(frame.body)
        }
      }
    }
  }

  private static func checkManifest(_ body: [UInt8]) {
    guard let record = try? ManifestRecord(decoding: body) else { return }
    let again = try? ManifestRecord(decoding: record.encoded())
    precondition(again?.encoded() == record.encoded(), "a manifest record does not survive encoding")
  }

  /// CURRENT or CLEAN, with a right checksum when the first byte is odd.
  package static func smallFile(_ input: [UInt8]) {
    input.withUnsafeBytes { raw in
      _ = try? SmallFile.parse(raw, path: "fuzz", title: "roost-clean 1")
    }
    _ = FileName(String(decoding: input, as: UTF8.self))
  }

  /// A footer page with a right checksum.
  package static func footer(_ input: [UInt8]) {
    var page = Array(input.prefix(PagedFile.pageBytes - 4))
    page += [UInt8](repeating: 0, count: PagedFile.pageBytes - 4 - page.count)
    var writer = ByteWriter()
    writer.raw(page)
    writer.u32(crc32c(page))
    writer.bytes.withUnsafeBytes { raw in
      for pages in [1, 3, 40] {
        _ = try? SegmentFooter(page: raw, file: "fuzz", fileBytes: UInt64(pages * PagedFile.pageBytes))
      }
    }
  }

  /// A valid footer page without its checksum, to start mutating from.
  package static func sampleFooter() -> [UInt8] {
    var footer = SegmentFooter()
    footer.rowCount = 10
    for dimension in [4, 8] {
      var field = FieldFooter()
      (field.dimension, field.degree, field.nodeCount) = (dimension, 32, 10)
      field.entryPoints = [3]
      for section in [\FieldFooter.nodes, \.codes, \.links, \.nodeRows, \.rowNodes] {
        field[keyPath: section] = Section(firstPage: 0, byteCount: 100)
      }
      footer.fields.append(field)
    }
    for kind in SectionKind.allCases { footer.sections[kind] = Section(firstPage: 0, byteCount: 100) }
    footer.checksummedPages = 38
    return Array(footer.encodedPage().dropLast(4))
  }
}

/// A real segment whose bytes are changed under right checksums: everything that reads sections must cope.
package final class SegmentFuzz {
  private static let path = "/s/00000001.seg"
  private let schema = CollectionSchema(fields: [
    VectorField(dimension: 4, buildEffort: 16),
    VectorField(name: "bits", dimension: 16, element: .binary, buildEffort: 16),
  ])
  private let executor = SeededExecutor(seed: 1)
  private let runtime: Runtime
  private let disk = MemoryDisk(seed: 1, directories: ["/s"])
  private let original: [UInt8]

  package init() throws {
    let (executor, disk, schema) = (executor, disk, schema)
    let runtime = Runtime(
      clock: VirtualClock(executor), random: SeededRandom(seed: 1), files: disk,
      transport: MemoryNetwork(seed: 1, executor: executor).transport(host: "a"), workers: InlineWorkers(),
      executors: [executor])
    self.runtime = runtime
    original = try executor.run { () async throws -> [UInt8] in
      let collection = try await Collection.create("/s/c", schema: schema, runtime: runtime)
      for id in 0..<50 {
        let vector = (0..<4).map { Float((id * 7 + $0 * 13) % 31) }
        var vectors = RecordVectors(Vector(vector))
        let bits = Vector(element: .binary, bytes: [UInt8(id), 255])
        if id % 2 == 0 { vectors["bits"] = bits }
        if id % 10 == 7 { vectors = ["bits": bits] }
        _ = try await collection.put([
          PutRecord(
            id: id % 3 == 0 ? .key("key-\(id)") : .number(UInt64(id)), vectors: vectors,
            payload: Self.payload(id))
        ])
      }
      _ = try await collection.delete([.number(1), .number(2)])
      try await collection.flush()
      try await collection.close()
      let segment = disk.filePaths.first { $0.hasSuffix(".seg") } ?? ""
      return disk.contents(of: segment) ?? []
    }
  }

  /// A value of each kind, so that every kind of index is there.
  private static func payload(_ id: Int) -> Payload {
    Payload([
      "n": .int(Int64(id)), "text": .string(String(repeating: "ab", count: id)), "even": .bool(id % 2 == 0),
      "share": .double(Double(id % 7) / 4), "when": .datetime(Int64(id % 5)), "raw": .bytes([UInt8(id % 3)]),
      "at": .geo(latitude: Double(id), longitude: Double(-id)),
      "deep": .map(["list": .array([.int(1), .null, .string("x\(id % 4)")])]),
    ])
  }

  private static let filters: [Filter] = [
    .field("deep", .exists), .field("even", .equals(.bool(true))), .field("deep.list", .equals(.null)),
    .field("n", .range(FilterRange(lower: .inclusive(.int(7)), upper: .exclusive(.double(31.5))))),
    .field("share", .range(FilterRange(upper: .inclusive(.double(0.5))))),
    .field("when", .range(FilterRange(lower: .exclusive(.datetime(1))))),
    .field("text", .range(FilterRange(lower: .inclusive(.string("abab"))))),
    .field("deep.list", .isIn([.string("x1"), .string("x2"), .int(1)])),
    .field("raw", .equals(.bytes([1]))), .field("at", .equals(.geo(latitude: 5, longitude: -5))),
    .not(.field("n", .equals(.int(3)))),
  ]

  /// Bytes of the segment that may be changed.
  package var count: Int { original.count }

  /// Overwrites bytes at the given places, mends the checksums, and reads everything there is.
  package func run(_ changes: [(offset: Int, byte: UInt8)]) throws {
    var bytes = original
    for change in changes { bytes[change.offset % bytes.count] = change.byte }
    Self.mend(&bytes)
    let (contents, disk, schema, runtime) = (IOBuffer(bytes), disk, schema, runtime)
    try executor.run {
      let file = try await disk.open(Self.path, [.write, .create, .truncate])
      try await file.write(contents, range: 0..<contents.count, at: 0)
      await file.close()
      for mapped in [true, false] {
        guard
          let segment = try? await Segment.open(
            Self.path, number: 1, schema: schema, mapped: mapped,
            memory: try CollectionMemory(totalBytes: 1 << 16, schema: schema), files: disk)
        else { continue }
        _ = try? segment.verifyAll()
        await Self.readAll(segment)
        _ = try? await Self.search(segment)
        await segment.file.file.close()
      }
      withExtendedLifetime(runtime) {}
    }
  }

  private static func readAll(_ segment: Segment) async {
    let source = RowSource.segment(segment)
    for row in 0..<min(segment.rowCount, 200) {
      _ = try? source.id(row)
      _ = try? source.version(row)
      _ = try? source.decodedPayload(row)
      for field in segment.fields.indices { _ = try? await source.vectorBytes(row, field: field) }
    }
    for filter in filters {
      _ = try? segment.attributes.bound(filter)
      _ = try? segment.attributes.match(filter)
    }
    for row in 0..<min(segment.rowCount, 50) {
      _ = try? await source.readID(row)
      _ = try? await source.readDecodedPayload(row)
      if let id = try? await segment.readHead(row).id { _ = try? await segment.findRow(of: id) }
    }
    _ = try? await segment.findRank(after: RecordID.number(9).encodedBytes)
    let id = IOBuffer(RecordID.number(7).encodedBytes)
    _ = try? segment.row(of: id.bytes)
    _ = try? segment.rank(after: id.bytes)
    _ = try? segment.verifyTombstones()
    _ = try? segment.tombstone(of: id.bytes)
  }

  private static func search(_ segment: Segment) async throws(RoostError) {
    let query = IOBuffer(Vector([1, 2, 3, 4] as [Float]).bytes)
    for field in segment.fields {
      var results: [Candidate] = []
      var acceptor = MappedAcceptor(
        LiveRows(deadAt: segment.deadAt, sequence: 1, rowLimit: UInt32(segment.rowCount)), rows: field.rows)
      _ = try await field.graph.search(
        query: UnsafeRawPointer(query.base), k: 5, effort: 20, acceptor: &acceptor, results: &results)
    }
  }

  /// Makes page checksums, table checksum and footer checksum right again.
  private static func mend(_ bytes: inout [UInt8]) {
    let page = PagedFile.pageBytes
    func put(_ value: UInt32, at offset: Int) {
      withUnsafeBytes(of: value.littleEndian) { for index in 0..<4 { bytes[offset + index] = $0[index] } }
    }
    func sum(_ range: Range<Int>) -> UInt32 {
      bytes.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
    let tablePages = 1  // the sample has fewer than 1,024 pages
    let dataPages = bytes.count / page - tablePages - 1
    for index in 0..<dataPages {
      put(sum(index * page..<(index + 1) * page), at: dataPages * page + index * 4)
    }
    let footer = bytes.count - page
    put(sum(dataPages * page..<footer), at: footer + SegmentFooter.tableChecksumOffset)
    put(sum(footer..<bytes.count - 4), at: bytes.count - 4)
  }
}
