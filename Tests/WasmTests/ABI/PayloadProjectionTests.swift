// Cutting payloads down to declared fields: the same as decoding, dropping and encoding again.

import Core
import Testing

@testable import Wasm

@Suite struct PayloadProjectionTests {
  private func project(_ bytes: [UInt8], _ fields: [String]) throws(RoostError) -> [UInt8] {
    let projection = PayloadProjection(fields: fields)
    let target = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
    defer { target.deallocate() }
    let count = try bytes.withUnsafeBufferPointer { (raw) throws(RoostError) in
      try projection.copy(UnsafeRawBufferPointer(raw), into: target)
    }
    return Array(target[..<count])
  }

  @Test func equalsDecodingAndDropping() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    let names = ["a", "name", "size", "title", "weight", "zz", "other", "été", "absent", "A", "zzz"]
    for _ in 0..<2_000 {
      let payload = RandomPayload.make(&random)
      let wanted = names.filter { _ in Bool.random(using: &random) } + ["a"]
      let expected = Payload(payload.fields.filter { wanted.contains($0.key) })
      #expect(
        try project(payload.encoded, wanted.shuffled(using: &random)) == expected.encoded, "seed \(seed)")
    }
  }

  @Test func damagedPayloadsNeverReachBeyondTheirBytes() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    for _ in 0..<2_000 {
      var bytes = RandomPayload.make(&random).encoded
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      bytes.removeLast(Int.random(in: 0...min(4, bytes.count), using: &random))
      do throws(RoostError) {
        let out = try project(bytes, ["a", "name", "zz"])
        #expect(out.count <= max(1, bytes.count), "seed \(seed)")
      } catch {
        #expect([.corrupted, .limitExceeded].contains(error.kind), "seed \(seed): \(error)")
      }
    }
  }
}
