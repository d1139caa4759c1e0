// Attribute indexes against the filter itself, row by row, over random payloads.

import Core
import Testing

@testable import Storage

@Suite struct AttributeIndexTests {
  /// The index of the payloads, by way of a sealed file.
  static func index(
    _ payloads: [Payload], _ indexing: AttributeIndexing = .all, bytesMax: Int = AttributeBuilder.bytesMax
  ) async throws -> AttributeIndex {
    let builder = try AttributeBuilder(indexing, bytesMax: bytesMax)
    for payload in payloads {
      let bytes = IOBuffer(payload.encoded)
      try builder.add(bytes.bytes)
    }
    let disk = MemoryDisk(seed: 1, directories: ["/s"])
    let writer = try await PagedFileWriter.create("/s/f", files: disk)
    var footer = SegmentFooter()
    for kind in SectionKind.allCases { footer.sections[kind] = Section(firstPage: 0, byteCount: 0) }
    _ = try await writer.section([1, 2, 3])
    let section = try await AttributeDirectory.write(builder, to: writer, workers: InlineWorkers())
    footer.sections[.attributes] = section
    _ = try await writer.seal(footer)
    let file = try await disk.open("/s/f", [.read])
    let mapping = try await file.map()
    let (_, checksums) = try Segment.readTables(mapping.bytes, path: "/s/f")
    let paged = try PagedFile(
      path: "/s/f", file: file, mapping: mapping, isMapped: true, checksums: checksums)
    return try AttributeIndex(file: paged, section: section, rowCount: payloads.count)
  }

  static func passing(_ filter: Filter, _ payloads: [Payload]) throws -> [UInt32] {
    let compiled = try CompiledFilter(filter)
    return try payloads.indices.filter { row in
      let bytes = IOBuffer(payloads[row].encoded)
      return try compiled.matches(bytes.bytes)
    }.map(UInt32.init)
  }

  /// Checks match and bound; returns whether the index could tell exactly.
  static func check(_ filter: Filter, _ payloads: [Payload], _ index: AttributeIndex, _ note: String) throws
    -> Bool
  {
    let expected = try passing(filter, payloads)
    if let bound = try index.bound(filter) {
      #expect(bound.atMost >= expected.count, "\(note) \(filter.text)")
      if bound.isExact { #expect(bound.atMost == expected.count, "\(note) \(filter.text)") }
    }
    let match = try index.match(filter)
    #expect(try index.match(filter) == match, "\(note) \(filter.text)")
    switch match {
    case .exact(let rows):
      #expect(rows.rows == expected, "\(note) \(filter.text)")
      return true
    case .atMost(let rows):
      #expect(Set(rows.rows).isSuperset(of: expected), "\(note) \(filter.text)")
    case .unknown: break
    }
    return false
  }

  @Test func everyFilterFindsTheRowsThatPass() async throws {
    var exact = 0
    var total = 0
    for seed in 1...16 as ClosedRange<UInt64> {
      var generator = AttributeGenerator(seed: seed)
      let count = [1, 7, 64, 200, 400][generator.random.below(5)]
      let payloads = (0..<count).map { _ in generator.payload() }
      let index = try await Self.index(payloads)
      try index.verify()
      for _ in 0..<40 {
        let filter = try generator.filter()
        guard (try? filter.validate()) != nil else { continue }
        if try Self.check(filter, payloads, index, "seed \(seed)") { exact += 1 }
        total += 1
      }
    }
    // Strings that are too long, words in several strings and conditions on one map leave some unknown.
    #expect(Double(exact) > 0.6 * Double(total), "\(exact) of \(total) exact")
  }

  @Test func numbersCompareExactlyAcrossTypes() async throws {
    let payloads = AttributeGenerator.scalars.map { Payload(["v": $0]) }
    let index = try await Self.index(payloads)
    for value in AttributeGenerator.scalars {
      _ = try Self.check(.field("v", .equals(value)), payloads, index, "equals")
      switch value {
      case .int, .double, .datetime:
        for range in [
          FilterRange(lower: .inclusive(value)), FilterRange(lower: .exclusive(value)),
          FilterRange(upper: .inclusive(value)), FilterRange(upper: .exclusive(value)),
        ] {
          #expect(try Self.check(.field("v", .range(range)), payloads, index, "range"))
        }
      default: break
      }
    }
  }

  @Test func listedFieldsAreKnownAndOthersAreNot() async throws {
    for seed in 1...6 as ClosedRange<UInt64> {
      var generator = AttributeGenerator(seed: seed)
      let payloads = (0..<100).map { _ in generator.payload() }
      let index = try await Self.index(payloads, .fields(["a", "a.kind", "missing"]))
      #expect(try Self.check(.field("a", .exists), payloads, index, "seed \(seed)"))
      #expect(try Self.check(.field("a.kind", .exists), payloads, index, "seed \(seed)"))
      #expect(try Self.check(.field("missing", .equals(.int(1))), payloads, index, "seed \(seed)"))
      #expect(try index.match(.field("b", .exists)) == .unknown)
      for _ in 0..<30 {
        let filter = try generator.filter()
        if (try? filter.validate()) != nil { _ = try Self.check(filter, payloads, index, "seed \(seed)") }
      }
    }
    let none = try await Self.index([Payload(["a": .int(1)])], .none)
    #expect(try none.match(.field("a", .exists)) == .unknown)
    let ids = try none.match(.hasID([.number(4), .number(5)])) { $0 == .number(5) ? 0 : nil }
    #expect(ids == .exact(.all(1)))
  }

  @Test func pathsBeyondTheBoundsAreUnknown() async throws {
    let many = (0..<400).map { Payload(["field\($0)": .int(Int64($0))]) }
    let crowded = try await Self.index(many)
    #expect(crowded.directory.paths.count == Limits.attributePathsMax)
    #expect(try Self.check(.field("field3", .equals(.int(3))), many, crowded, "kept"))
    #expect(try crowded.match(.field("field399", .equals(.int(399)))) == .unknown)

    let large = (0..<3000).map { Payload(["text": .string("number \($0)"), "even": .bool($0 % 2 == 0)]) }
    let bounded = try await Self.index(large, bytesMax: 90_000)
    #expect(try bounded.match(.field("text", .equals(.string("number 5")))) == .unknown)
    #expect(try Self.check(.field("even", .equals(.bool(true))), large, bounded, "small"))
    try bounded.verify()
  }

  @Test func widthOfARangeDoesNotMatter() async throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      let count = [15, 16, 17, 611][Int(seed) - 1]
      var ranks = Array(0..<count)
      ranks.shuffle(using: &random)
      let payloads = ranks.map { rank in
        Payload(
          rank % 100 == 7 && seed == 4 ? [:] : ["rank": .int(Int64(rank)), "half": .double(Double(rank) / 2)])
      }
      let index = try await Self.index(payloads)
      for _ in 0..<15 {
        let (a, b) = (random.below(count + 1), random.below(count + 1))
        let bounds = FilterRange(
          lower: .inclusive(.int(Int64(min(a, b)))), upper: .exclusive(.double(Double(max(a, b)))))
        #expect(try Self.check(.field("rank", .range(bounds)), payloads, index, "seed \(seed)"))
        #expect(try Self.check(.field("half", .range(bounds)), payloads, index, "seed \(seed)"))
      }
    }
  }

  @Test func placesAreFoundThroughTheirCells() async throws {
    var random = SplitMix64(seed: 3)
    let payloads = (0..<600).map { _ in
      Payload([
        "at": .geo(
          latitude: Double(random.below(1800)) / 10 - 90, longitude: Double(random.below(3600)) / 10 - 180)
      ])
    }
    let index = try await Self.index(payloads)
    let reader = try #require(try index.columns(of: "at")?.readers[.geo])
    for _ in 0..<30 {
      let low = (Double(random.below(170)) - 90, Double(random.below(350)) - 180)
      let size = Double(1 + random.below(60))
      let (latitudes, longitudes) = (low.0...min(90, low.0 + size), low.1...min(180, low.1 + size))
      let near = try reader.keys(near: latitudes, longitudes)
      let keys = try reader.keys(in: near) {
        latitudes.contains($0) && longitudes.contains($1)
      }
      let expected = payloads.indices.filter { row in
        guard case .geo(let latitude, let longitude)? = payloads[row]["at"] else { return false }
        return latitudes.contains(latitude) && longitudes.contains(longitude)
      }
      #expect(try reader.rows(keys).rows == expected.map(UInt32.init))
    }
  }
}
