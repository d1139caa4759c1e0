// The bytes of reconciliation: golden vectors, a round trip of everything, and refusals.

import Core
import Testing

@testable import Gossip

@Suite struct ReconcileMessageTests {
  private static let secret = DigestKey(low: 0x0706_0504_0302_0100, high: 0x0f0e_0d0c_0b0a_0908)

  private static var shard: ShardDigests {
    ShardDigests(
      (1...20).map {
        RecordDigest(id: .number($0), version: Version(time: 1_000 + $0, node: 3), secret: secret)
      }, cellCount: 8)
  }

  private static func encoded(_ cells: ArraySlice<CodedSymbol>, from: Int, items: UInt64) -> [UInt8] {
    var writer = ByteWriter()
    SymbolCodec.write(cells, from: from, items: items, into: &writer)
    return writer.bytes
  }

  private static var samples: [(name: String, about: String, body: ReconcileMessage.Body)] {
    let cells = shard.sketch.cells
    let offers = [VersionOffer(key: 0x0f_0e0d_0c0b_0a09, version: Version(time: 1 << 40, node: 9))]
    return [
      (
        "open", "open of scope 0x0102030405060708, 20 digests, the whole shard, one symbol",
        .open(scope: 0x0102_0304_0506_0708, range: .whole, items: 20, symbols: [cells[0]])
      ),
      (
        "open-range", "open of the keys that begin with bits 00101",
        .open(scope: 1, range: KeyRange(prefix: 5, bits: 5), items: 20, symbols: Array(cells[0..<2]))
      ),
      ("more", "more: 300 symbols from index 1", .more(from: 1, count: 300)),
      (
        "symbols", "symbols 1 to 7 of the 20 digests in open",
        .symbols(from: 1, encoded: encoded(cells[1...], from: 1, items: 20))
      ),
      ("same", "same", .same), ("split", "split into 8", .split(bits: 3)),
      (
        "differences", "part 0, the last: two wanted keys of 4 bytes, one offer",
        .differences(part: 0, isLast: true, width: 4, wanted: [0x0102_0304, 0xfffe_fdfc], offers: offers)
      ),
      (
        "acknowledge", "acknowledge of part 0, one key wanted", .acknowledge(part: 0, wanted: [offers[0].key])
      ),
      ("refuse", "refuse: busy", .refuse(.busy)),
    ]
  }

  @Test func goldenVectors() throws {
    for sample in Self.samples {
      let message = ReconcileMessage(session: 0x0abc_def1, body: sample.body)
      GoldenFolder.check("reconcile-\(sample.name)", about: sample.about, message.encoded)
      #expect(try ReconcileMessage(decoding: message.encoded) == message, "\(sample.name)")
    }
    GoldenFolder.check(
      "sketch", about: "sketch of 8 cells over the digests of records 1 to 20, sequence 77",
      Self.shard.sketch.encoded(sequence: 77))
    let digest = RecordDigest(id: .key("k"), version: Version(time: 1, node: 2), secret: Self.secret)
    var writer = ByteWriter()
    writer.u64(digest.key)
    writer.u64(digest.version)
    GoldenFolder.check(
      "digest", about: "digest of id \"k\", version time 1 node 2: key and version, u64 each", writer.bytes)
  }

  @Test func symbolsComeBack() throws {
    for seed in 1...20 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      let items = 1 + random.next() % 1_000
      let cells = (0..<50).map { _ in
        CodedSymbol(
          key: random.next(), version: random.next(), check: UInt32(truncatingIfNeeded: random.next()),
          count: Int32(random.next() % (items + 1)))
      }
      let from = Int(random.next() % 5_000)
      let bytes = Self.encoded(cells[...], from: from, items: items)
      let read = try bytes.withReader { (reader) throws(RoostError) in
        try SymbolCodec.read(from: from, items: items, &reader)
      }
      #expect(read == cells, "seed \(seed)")
    }
  }

  @Test func cutsAndAdditionsAreRefused() {
    for sample in Self.samples {
      let bytes = ReconcileMessage(session: 1, body: sample.body).encoded
      for count in 0..<bytes.count {
        guard let read = try? ReconcileMessage(decoding: Array(bytes.prefix(count))) else { continue }
        // Lists that go to the end may be shorter.
        #expect(
          ["open-range", "symbols", "acknowledge"].contains(sample.name), "\(sample.name) cut to \(count)")
        #expect(read.encoded == Array(bytes.prefix(count)))
      }
    }
  }

  @Test(arguments: [
    ("kind 0", [0, 0, 0, 0x00]), ("kind 9", [0, 0, 0, 0x90]),
    ("range of 17 bits", [0, 0, 0, 0x10] + [UInt8](repeating: 0, count: 8) + [17, 0, 0, 0]),
    ("no symbols", [0, 0, 0, 0x10] + [UInt8](repeating: 0, count: 10)),
    ("more of nothing", [0, 0, 0, 0x20, 1, 0]), ("more beyond all", [0, 0, 0, 0x20, 0xff, 0xff, 0x7f, 1]),
    ("split by 0", [0, 0, 0, 0x50, 0]), ("split by 17", [0, 0, 0, 0x50, 17]),
    ("width 0", [0, 0, 0, 0x60, 1, 0, 0, 0]), ("width 8", [0, 0, 0, 0x60, 1, 8, 0, 0]),
    ("keys that descend", [0, 0, 0, 0x60, 1, 1, 2, 9, 8, 0]),
    ("more keys than bytes", [0, 0, 0, 0x60, 1, 1, 200, 1, 9]),
    ("refusal 0", [0, 0, 0, 0x80, 0]), ("a key of 6 bytes", [0, 0, 0, 0x70, 0, 1, 2, 3, 4, 5, 6]),
  ])
  func malformedMessagesAreRefused(what: String, bytes: [UInt8]) {
    #expect(throws: RoostError.self, "\(what)") { try ReconcileMessage(decoding: bytes) }
  }

  @Test func fuzzEntrySurvivesItsSamples() {
    var random = SplitMix64(seed: 12)
    for sample in GossipFuzz.samples() {
      GossipFuzz.run(sample)
      for _ in 0..<100 {
        var changed = sample
        for _ in 0...random.next() % 3 {
          changed[Int(random.next() % UInt64(changed.count))] = UInt8(truncatingIfNeeded: random.next())
        }
        GossipFuzz.run(changed)
      }
    }
  }
}
