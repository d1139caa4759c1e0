import Core
import Testing

@Suite struct SortKeyTests {
  private static let values: [Value] =
    FilterGenerator.scalars + [
      .int(1 << 62), .int(1 << 62 + 1), .int(.max - 511), .int(.max - 512), .int(.max - 1023), .int(.min + 1),
      .double(0x1p63.nextDown), .double(-0x1p63.nextUp), .double(0x1p62), .int(-(1 << 53)),
      .double(-0x1p53 - 2), .double(-.leastNonzeroMagnitude), .double(1e300.nextUp), .string("a\u{0}"),
      .datetime(-1), .geo(latitude: -90, longitude: 180),
    ]

  /// Keys sort as filters compare, and are equal just where `=` passes.
  @Test func everyPairSortsAsFiltersCompare() throws {
    let encoded = Self.values.map { Payload(["x": $0]).encoded }
    for b in Self.values {
      func compiled(_ predicate: FieldPredicate) -> CompiledFilter? {
        try? CompiledFilter(.field("x", predicate))
      }
      let equal = try #require(compiled(.equals(b)))
      let below = compiled(.range(FilterRange(upper: .exclusive(b))))
      let above = compiled(.range(FilterRange(lower: .inclusive(b))))
      for (a, payload) in zip(Self.values, encoded) {
        let (x, y) = (try #require(SortKey(a)), try #require(SortKey(b)))
        func passes(_ filter: CompiledFilter) throws -> Bool {
          try payload.withUnsafeBytes { try filter.matches($0) }
        }
        #expect(try passes(equal) == (x == y), "\(a) \(b)")
        #expect((x < y) == !(y < x || x == y), "\(a) \(b)")
        guard let below, let above else { continue }
        let (isBelow, isAbove) = (try passes(below), try passes(above))
        if isBelow || isAbove { #expect(isBelow == (x < y), "\(a) \(b)") }
      }
    }
  }

  @Test func valuesComeBack() throws {
    for value in Self.values {
      let key = try #require(SortKey(value))
      #expect(SortKey(key.value) == key, "\(value)")
      if case .double(let number) = value, number.rounded() == number, abs(number) < 0x1p63 {
        #expect(key.value == .int(Int64(number)))
      } else if case .double(-0x1p63) = value {
        #expect(key.value == .int(.min))
      } else {
        #expect(key.value == value)
      }
    }
    #expect(SortKey(.array([])) == nil)
    #expect(SortKey(.map([:])) == nil)
  }

  @Test func typesHaveAnOrder() throws {
    let ascending: [Value] = [
      .null, .bool(false), .bool(true), .double(-.infinity), .int(0), .double(.infinity), .datetime(.min),
      .string(""), .string("b"), .bytes([]), .geo(latitude: -90, longitude: 0),
    ]
    let keys = ascending.compactMap { SortKey($0) }
    #expect(keys == keys.sorted() && Set(keys).count == ascending.count)
  }
}
