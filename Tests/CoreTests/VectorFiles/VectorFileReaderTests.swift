import Core
import Testing

@Suite struct VectorFileReaderTests {
  static let rows: [[Float]] = (0..<23).map { row in (0..<5).map { Float(row * 5 + $0) } }

  private static func bytes(of values: [Float], _ element: VectorElement) -> [UInt8] {
    switch element {
    case .f32: Vector(values).bytes
    case .u8: Vector(values.map { UInt8($0) }).bytes
    case .i8: Vector(values.map { Int8($0) }).bytes
    case .f16, .bf16: Vector(values).rounded(to: element)?.bytes ?? []
    case .binary: Vector(bits: values.map { $0 > 0 }).bytes
    }
  }

  private static func bin(_ rows: [[Float]], _ element: VectorElement) -> [UInt8] {
    var writer = ByteWriter()
    writer.u32(UInt32(rows.count))
    writer.u32(UInt32(rows[0].count))
    for row in rows { writer.raw(bytes(of: row, element)) }
    return writer.bytes
  }

  private static func vecs(_ rows: [[Float]], _ element: VectorElement) -> [UInt8] {
    var writer = ByteWriter()
    for row in rows {
      writer.u32(UInt32(row.count))
      writer.raw(bytes(of: row, element))
    }
    return writer.bytes
  }

  private static func npy(_ header: String, version: UInt8 = 1, data: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    writer.raw([0x93] + Array("NUMPY".utf8) + [version, 0])
    if version == 1 { writer.u16(UInt16(header.utf8.count)) } else { writer.u32(UInt32(header.utf8.count)) }
    writer.raw(Array(header.utf8))
    writer.raw(data)
    return writer.bytes
  }

  private static func npy(_ type: String, version: UInt8 = 1, _ data: [UInt8]) -> [UInt8] {
    let header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (23, 5), }"
    return npy(header + String(repeating: " ", count: 63) + "\n", version: version, data: data)
  }

  static let files: [String: [UInt8]] = {
    let doubles = rows.flatMap { $0 }.flatMap { value in
      withUnsafeBytes(of: Double(value).bitPattern.littleEndian) { Array($0) }
    }
    return [
      "a.fbin": bin(rows, .f32), "a.u8bin": bin(rows, .u8), "a.i8bin": bin(rows, .i8),
      "a.fvecs": vecs(rows, .f32), "a.bvecs": vecs(rows, .u8),
      "a.f16bin": bin(rows, .f16), "a.hbin": bin(rows, .f16), "a.bf16bin": bin(rows, .bf16),
      "f2.npy": npy("<f2", rows.flatMap { bytes(of: $0, .f16) }),
      "f4.npy": npy("<f4", rows.flatMap { bytes(of: $0, .f32) }), "f8.npy": npy("<f8", version: 2, doubles),
      "u1.npy": npy("|u1", version: 3, rows.flatMap { bytes(of: $0, .u8) }),
      "i1.NPY": npy("|i1", rows.flatMap { bytes(of: $0, .i8) }),
    ]
  }()

  @Test(arguments: files.keys.sorted()) func readsEveryFormat(_ path: String) async throws {
    let reader = try await VectorFileReader.open(path, files: BytesFileSystem(contents: Self.files))
    #expect(reader.count == 23 && reader.dimension == 5)
    var found: [[Float]] = []
    while let batch = try await reader.next(4) {
      #expect(batch.firstRow == found.count && batch.count <= 4 && batch.element == reader.element)
      for index in 0..<batch.count { found.append(batch.vector(index).floats) }
    }
    #expect(found == Self.rows)
    try reader.seek(toRow: 21)
    let rest = try await reader.rest()
    #expect(rest.count == 2 && rest.firstRow == 21 && rest.vector(0).floats == Self.rows[21])
    #expect(throws: RoostError.self) { try reader.seek(toRow: 24) }
    await reader.close()
  }

  @Test func readsBits() async throws {
    // The header counts bytes.
    let bytes = Self.words(3, 2) + [1, 2, 3, 4, 5, 0x80]
    let reader = try await VectorFileReader.open(
      "a.bbin", files: BytesFileSystem(contents: ["a.bbin": bytes]))
    #expect(reader.count == 3 && reader.dimension == 16 && reader.element == .binary)
    try reader.seek(toRow: 2)
    let row = try #require(try await reader.next(5))
    #expect(row.vector(0) == Vector(element: .binary, bytes: [5, 0x80]))
    #expect(row.vector(0).floats == [0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func boundsTheMemoryOfABatch() async throws {
    let count = VectorFileReader.batchBytesMax / 4096 + 10
    var writer = ByteWriter(reserving: 8 + count * 4096)
    writer.u32(UInt32(count))
    writer.u32(4096)
    writer.raw([UInt8](repeating: 7, count: count * 4096))
    let reader = try await VectorFileReader.open(
      "a.u8bin", files: BytesFileSystem(contents: ["a.u8bin": writer.bytes]))
    let batch = try #require(try await reader.next(.max))
    #expect(batch.bytes.count == VectorFileReader.batchBytesMax)
    #expect(try await reader.rest().count == 10)
  }

  private static func words(_ values: UInt32...) -> [UInt8] {
    var writer = ByteWriter()
    for value in values { writer.u32(value) }
    return writer.bytes
  }

  static let hostile: [(path: String, bytes: [UInt8], place: String, message: String)] = [
    ("a.fbin", [], "a.fbin offset 0", "header alone needs 8"),
    ("a.fbin", words(2, 0), "a.fbin offset 4", "dimension is 0"),
    ("a.fbin", words(2, 5000), "a.fbin offset 4", "limit is 4096"),
    ("a.fbin", words(.max, .max), "a.fbin offset 4", "limit is 4096"),
    ("a.fbin", words(.max, 4096), "a.fbin offset 8", "cut off"),
    ("a.fbin", words(1, 2, 0), "a.fbin offset 12", "cut off"),
    ("a.fbin", words(1, 1, 0, 0), "a.fbin offset 12", "left over"),
    ("a.bbin", words(1, 513), "a.bbin offset 4", "dimension is 4104"),
    ("a.bbin", words(1, .max), "a.bbin offset 4", "limit is 4096"),
    ("a.f16bin", words(1, 3, 0), "a.f16bin offset 12", "cut off"),
    ("a.fvecs", [], "a.fvecs offset 0", "header alone needs 4"),
    ("a.fvecs", words(0), "a.fvecs offset 0", "dimension is 0"),
    ("a.fvecs", words(.max), "a.fvecs offset 0", "dimension is -1"),
    ("a.fvecs", words(1, 0, 1), "a.fvecs offset 8", "cut off"),
    ("a.fvecs", words(1, 0, 2, 0), "a.fvecs offset 8", "row 1 has dimension 2"),
    ("a.npy", Array("not numpy at all".utf8), "a.npy offset 0", "magic"),
    ("a.npy", npy("{}", version: 9, data: []), "a.npy offset 6", "version 9"),
    (
      "a.npy", Array(npy("{'a': 1}    ", version: 2, data: [0]).prefix(14)), "a.npy offset 8", "the file ends"
    ),
    ("a.npy", [0x93] + Array("NUMPY".utf8) + [2, 0, 255, 255, 255, 255], "a.npy offset 8", "at most"),
    ("a.npy", npy("not a dictionary", data: []), "a.npy offset 10", "dictionary"),
    ("a.npy", npy("{'descr': '<f4'}", data: []), "a.npy offset 10", "fortran_order"),
    ("a.npy", npy("{'descr': [('a','<f4')]}", data: []), "a.npy offset 20", "dictionary"),
    (
      "a.npy", npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1, 1)}", data: [0, 0, 0, 0]),
      "a.npy offset 10", "type '>f4'"
    ),
    (
      "a.npy", npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}", data: [0, 0, 0, 0]),
      "a.npy offset 10", "Fortran"
    ),
    (
      "a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", data: [0, 0, 0, 0]),
      "a.npy offset 10", "1 dimensions"
    ),
    (
      "a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 4)}", data: []),
      "a.npy offset 86", "more than 2^64"
    ),
    (
      "a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 18446744073709551615)}", data: []),
      "a.npy offset 8", "limit is 4096"
    ),
    ("a.csv", [], "a.csv", "extension"),
  ]

  @Test(arguments: hostile.indices) func refuses(_ index: Int) async throws {
    let (path, bytes, place, message) = Self.hostile[index]
    let error = try await #require(throws: RoostError.self) {
      let reader = try await VectorFileReader.open(path, files: BytesFileSystem(contents: [path: bytes]))
      _ = try await reader.rest()
    }
    #expect([.invalidArgument, .limitExceeded].contains(error.kind))
    #expect(error.place == place, "\(error)")
    #expect(error.message.contains(message), "\(error)")
  }

  @Test func noticesAFileThatShrinks() async throws {
    let files = BytesFileSystem(contents: Self.files, readable: ["a.fbin": 50])
    let reader = try await VectorFileReader.open("a.fbin", files: files)
    let error = try await #require(throws: RoostError.self) { _ = try await reader.next(10) }
    #expect(error.place == "a.fbin offset 50")
  }

  @Test func aFileWithoutRowsIsEmpty() async throws {
    let files = BytesFileSystem(contents: ["a.fbin": Self.words(0, 8)])
    let reader = try await VectorFileReader.open("a.fbin", files: files)
    #expect(reader.count == 0 && reader.dimension == 8)
    #expect(try await reader.next(10) == nil)
    #expect(try await reader.rest().count == 0)
  }

  @Test func damagedFilesAreReadOrRefused() {
    let seed = UInt64.random(in: 0..<1_000_000)
    var generator = FilterGenerator(seed: seed)
    for _ in 0..<400 {
      for (_, bytes) in Self.files {
        for format in UInt8(0)..<8 {
          let input = [format] + generator.damage(bytes)
          input.withUnsafeBytes { VectorFileFuzz.run($0) }
        }
      }
    }
  }
}
