import Core
import Testing

@Suite struct GroundTruthTests {
  private static func words(_ values: [UInt32]) -> [UInt8] {
    var writer = ByteWriter()
    for value in values { writer.u32(value) }
    return writer.bytes
  }

  private func read(_ path: String, _ values: [UInt32], cut: Int = 0) async throws -> GroundTruth {
    let bytes = Array(Self.words(values).dropLast(cut))
    return try await GroundTruth.read(path, files: BytesFileSystem(contents: [path: bytes]))
  }

  @Test func readsBothFormats() async throws {
    let half = Float(0.5).bitPattern
    let full = try await read("t.ibin", [2, 2, 7, 8, 9, 10, half, half, half, half])
    #expect(full == GroundTruth(queries: 2, k: 2, ids: [7, 8, 9, 10], distances: [0.5, 0.5, 0.5, 0.5]))
    #expect(Array(full.ids(ofQuery: 1)) == [9, 10])
    #expect(try await read("t.ibin", [2, 2, 7, 8, 9, 10]).distances.isEmpty)
    #expect(
      try await read("t.ivecs", [2, 7, 8, 2, 9, 10]) == GroundTruth(queries: 2, k: 2, ids: [7, 8, 9, 10]))
  }

  @Test func refusesWhatDoesNotFit() async throws {
    for (path, values, cut) in [
      ("t.ibin", [1], 0), ("t.ibin", [1, 0], 0), ("t.ibin", [1, 2, 3], 0), ("t.ibin", [.max, .max, 3], 0),
      ("t.ibin", [2, 2, 1, 2, 3, 4], 1), ("t.ibin", [1, 1, 1, 2, 3], 0), ("t.ivecs", [], 0),
      ("t.ivecs", [0], 0),
      ("t.ivecs", [.max, 1], 0), ("t.ivecs", [2, 1], 0), ("t.ivecs", [1, 1, 2, 1, 1], 0),
      ("t.ivecs", [1, 1, 1], 2),
      ("t.bin", [1, 1, 1], 0),
    ] as [(String, [UInt32], Int)] {
      let error = try await #require(throws: RoostError.self) { _ = try await read(path, values, cut: cut) }
      #expect(error.kind == .invalidArgument && error.place.hasPrefix(path), "\(error)")
    }
  }
}
