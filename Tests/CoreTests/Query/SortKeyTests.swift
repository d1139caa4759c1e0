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
    for a in Self.values {
      for b in Self.values {
        let (x, y) = (try #require(SortKey(a)), try #require(SortKey(b)))
        func passes(_ predicate: FieldPredicate) throws -> Bool {
          try Payload(["x": a]).encoded.withUnsafeBytes {
            try CompiledFilter(.field("x", predicate)).matches(
              $0, id: UnsafeRawBufferPointer(start: nil, count: 0))
          }
        }
        #expect(try passes(.equals(b)) == (x == y), "\(a) \(b)")
        #expect((x < y) == !(y < x || x == y), "\(a) \(b)")
        let range = FieldPredicate.range(FilterRange(upper: .exclusive(b)))
        guard (try? Filter.field("x", range).validate()) != nil else { continue }
        if try passes(.range(FilterRange(lower: .inclusive(b)))) || passes(range) {
          #expect(try passes(range) == (x < y), "\(a) \(b)")
        }
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
