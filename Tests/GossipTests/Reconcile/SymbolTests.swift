// Digests, symbols, sketches and the decoder against plain sets.

import Core
import Testing

@testable import Gossip

@Suite struct SymbolTests {
  private static func digests(_ count: Int, _ random: inout SplitMix64) -> [RecordDigest] {
    (0..<count).map { _ in RecordDigest(key: random.next(), version: random.next()) }
  }

  /// From the reference implementation of SipHash: key 00 01 … 0f, input 00 01 ….
  @Test(arguments: [
    (0, 0x726f_db47_dd0e_0e31 as UInt64), (1, 0x74f8_39c5_93dc_67fd), (15, 0xa129_ca61_49be_45e5),
  ])
  func sipHashIsTheReferences(count: Int, expected: UInt64) {
    let input = (0..<count).map { UInt8($0) }
    let key = DigestKey(low: 0x0706_0504_0302_0100, high: 0x0f0e_0d0c_0b0a_0908)
    #expect(input.withUnsafeBytes { SipHash.hash($0, key: key) } == expected)
  }

  @Test func versionsOfARecordShareItsKey() {
    let secret = DigestKey(low: 1, high: 2)
    let one = RecordDigest(id: .key("a"), version: Version(time: 1, node: 1), secret: secret)
    let two = RecordDigest(id: .key("a"), version: Version(time: 1, node: 2), secret: secret)
    let other = RecordDigest(id: .number(97), version: Version(time: 1, node: 1), secret: secret)
    #expect(one.key == two.key && one.version != two.version && other.key != one.key)
    #expect(RecordDigest(id: .key("a"), version: .zero, secret: DigestKey(low: 1, high: 3)).key != one.key)
  }

  /// A digest goes to the symbol at i with probability 8 (i + 1) / (2 i + 3)².
  @Test func densityIsAsDerived() {
    var random = SplitMix64(seed: 3)
    let trials = 20_000
    var hits = [Int](repeating: 0, count: 200)
    for _ in 0..<trials {
      var mapping = SymbolMapping(seed: random.next())
      while mapping.index < 200 {
        hits[Int(mapping.index)] += 1
        mapping.advance()
      }
    }
    #expect(hits[0] == trials)
    for index in 1..<200 {
      let expected = SymbolMapping.density(index) * Double(trials)
      #expect((Double(hits[index]) - expected).magnitude < 6 * expected.squareRoot(), "index \(index)")
      let whole = SymbolMapping.expectedCount(items: UInt64(trials), index: UInt64(index))
      #expect((Double(whole) - expected).magnitude <= 1, "index \(index)")
    }
  }

  @Test func mappingsAscendToTheEnd() {
    for seed in [0, 1, .max, 0x61c8_8646_80b5_83eb] as [UInt64] {
      var mapping = SymbolMapping(seed: seed)
      var last = mapping.index
      for _ in 0..<200 {
        mapping.advance()
        #expect(mapping.index > last || mapping.index == .max >> 1)
        last = mapping.index
      }
    }
  }

  @Test func decoderFindsTheDifference() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      let common = Self.digests(Int(random.next() % 300), &random)
      let one = Self.digests(Int(random.next() % 80), &random)
      let other = Self.digests(Int(random.next() % 80), &random)
      let sets = (DigestSet(common + one), DigestSet(common + other))
      var decoder = PeelingDecoder()
      let symbols = (sets.0.symbols(0..<1_000), sets.1.symbols(0..<1_000))
      while !decoder.isComplete, decoder.count < 1_000 {
        let end = min(1_000, decoder.count + 1 + Int(random.next() % 7))
        let place = decoder.count..<end
        try decoder.add(remote: symbols.0[place], local: symbols.1[place])
      }
      #expect(decoder.isComplete, "seed \(seed)")
      #expect(Set(decoder.remoteOnly) == Set(one), "seed \(seed)")
      #expect(Set(decoder.localOnly) == Set(other), "seed \(seed)")
      #expect(decoder.differenceCount == one.count + other.count, "seed \(seed)")
    }
  }

  /// The paper's figure: 1.35 symbols a difference in the limit, up to about 1.72 for few.
  @Test func symbolsPerDifferenceAreAsInThePaper() throws {
    var random = SplitMix64(seed: 9)
    for (count, most) in [(1, 1.0), (2, 2.4), (10, 2.0), (100, 1.75), (1_000, 1.5)] {
      let trials = count > 100 ? 3 : 60
      var used = 0
      for _ in 0..<trials {
        let symbols = DigestSet(Self.digests(count, &random)).symbols(0..<4 * count + 30)
        let zeros = Array(repeating: CodedSymbol(), count: symbols.count)
        var decoder = PeelingDecoder()
        while !decoder.isComplete, decoder.count < symbols.count {
          let place = decoder.count..<decoder.count + 1
          try decoder.add(remote: symbols[place], local: zeros[place])
        }
        used += decoder.count
      }
      #expect(Double(used) / Double(trials * count) <= most, "\(count) differences")
    }
  }

  @Test func estimateIsNear() throws {
    var random = SplitMix64(seed: 4)
    for (one, other) in [(500, 500), (1_000, 0), (30, 3_000), (5_000, 5_000)] {
      let remote = DigestSet(Self.digests(one, &random)).symbols(0..<256)
      let local = DigestSet(Self.digests(other, &random)).symbols(0..<256)
      var decoder = PeelingDecoder()
      try decoder.add(remote: remote[...], local: local[...])
      let ratio = decoder.estimate.value / Double(one + other)
      #expect((0.6...1.5).contains(ratio), "\(one) and \(other): \(ratio)")
    }
  }

  @Test func sketchFollowsChanges() throws {
    for seed in 1...10 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      var shard = ShardDigests(cellCount: 32)
      var model: [RecordDigest] = []
      for _ in 0..<400 {
        let old = model.isEmpty || random.next() % 3 == 0 ? nil : Int(random.next() % UInt64(model.count))
        let new = random.next() % 4 == 0 ? nil : Self.digests(1, &random)[0]
        shard.replace(old.map { model[$0] }, with: new)
        if let old { model.remove(at: old) }
        if let new { model.append(new) }
        // Of what is not there, or there already, nothing comes.
        shard.replace(Self.digests(1, &random)[0], with: model.first)
      }
      let fresh = ShardDigests(model, cellCount: 32)
      #expect(shard.sketch == fresh.sketch, "seed \(seed)")
      #expect(shard.set.count == model.count && shard.sketch.cells == shard.set.symbols(0..<32))
      let (read, sequence) = try SymbolSketch.decode(shard.sketch.encoded(sequence: 77))
      #expect(read == shard.sketch && sequence == 77)
    }
  }

  @Test func noDamageToASketchGoesUnnoticed() throws {
    var random = SplitMix64(seed: 1)
    let bytes = ShardDigests(Self.digests(50, &random), cellCount: 4).sketch.encoded(sequence: 3)
    for place in bytes.indices {
      for bit in 0..<8 as Range<UInt8> {
        var changed = bytes
        changed[place] ^= 1 << bit
        #expect(throws: RoostError.self) { try SymbolSketch.decode(changed) }
      }
      #expect(throws: RoostError.self) { try SymbolSketch.decode(Array(bytes.prefix(place))) }
    }
    #expect(throws: RoostError.self) { try SymbolSketch.decode(bytes + [0]) }
  }

  @Test func digestSetIsASet() {
    for seed in 1...6 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      var model = Set(
        (0..<700).map { _ in RecordDigest(key: random.next() << 50, version: random.next() % 8) })
      var set = DigestSet(Array(model) + Array(model.prefix(9)))
      for _ in 0..<2_500 {
        let digest = RecordDigest(key: random.next() % 64 << 50, version: random.next() % 32)
        if random.next() % 3 == 0 {
          let (was, had) = (set.remove(digest), model.remove(digest) != nil)
          #expect(was == had)
        } else {
          let (isNew, wasNew) = (set.insert(digest), model.insert(digest).inserted)
          #expect(isNew == wasNew)
        }
        #expect(set.contains(digest) == model.contains(digest))
      }
      var all: [RecordDigest] = []
      set.forEach(in: .whole) { all.append($0) }
      #expect(all == model.sorted() && set.count == model.count, "seed \(seed)")
      for range in KeyRange.whole.parts(3) ?? [] {
        let inside = model.filter { range.contains($0.key) }
        #expect(set.count(in: range) == inside.count)
        #expect(set.symbols(0..<20, in: range) == DigestSet(inside).symbols(0..<20))
      }
      for bits in [1, 6, 56] {
        let key = all[all.count / 2].key
        let shift = UInt64(56 - bits)
        #expect(
          set.matches(key: key, bits: bits) == model.filter { $0.key >> shift == key >> shift }.sorted())
      }
    }
  }
}
