import Core
import Testing

@Suite struct PayloadFieldTests {
  /// The slow way: decode, then look.
  private func reference(_ payload: Payload, _ names: [String]) -> GroupKey? {
    var fields = payload.fields
    for name in names.dropLast() {
      guard case .map(let inner)? = fields[name] else { return nil }
      fields = inner
    }
    switch fields[names[names.count - 1]] {
    case .bool(let flag): return .bool(flag)
    case .int(let number): return .int(number)
    case .datetime(let micros): return .datetime(micros)
    case .string(let text): return .string(Array(text.utf8))
    default: return nil
    }
  }

  private func value(_ random: inout SplitMix64, depth: Int) -> Value {
    switch random.next() % (depth < 3 ? 10 : 8) {
    case 0: .null
    case 1: .bool(random.next() % 2 == 0)
    case 2: .int(Int64(bitPattern: random.next()))
    case 3: .double(1.5)
    case 4: .string(["", "a", "é"][Int(random.next() % 3)])
    case 5: .bytes([1, 2])
    case 6: .datetime(Int64(random.next() % 100))
    case 7: .array([.int(1)])
    default: .map(map(&random, depth: depth + 1))
    }
  }

  private func map(_ random: inout SplitMix64, depth: Int) -> [String: Value] {
    var fields: [String: Value] = [:]
    for name in ["", "a", "ab", "b", "é", "z"] where name != "" && random.next() % 2 == 0 {
      fields[name] = value(&random, depth: depth)
    }
    return fields
  }

  @Test func readsWhatDecodingWouldFind() throws {
    var random = SplitMix64(seed: 41)
    for _ in 0..<3000 {
      let payload = Payload(map(&random, depth: 0))
      let names = (0..<1 + Int(random.next() % 3)).map { _ in
        ["a", "ab", "b", "é", "y"][Int(random.next() % 5)]
      }
      let field = PayloadField(try FieldPath(names: names))
      let found = try payload.encoded.withUnsafeBufferPointer { (raw) throws(RoostError) in
        try field.groupKey(in: UnsafeRawBufferPointer(raw))
      }
      #expect(found == reference(payload, names), "\(names) in \(payload)")
    }
  }

  @Test func cutAndChangedBytesNeverTrap() throws {
    var random = SplitMix64(seed: 42)
    let field = PayloadField(try FieldPath("b.ab"))
    for _ in 0..<300 {
      var bytes = Payload(map(&random, depth: 0)).encoded
      for _ in 0..<20 {
        if bytes.isEmpty { break }
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
        if random.next() % 4 == 0 { bytes.removeLast() }
        bytes.withUnsafeBytes { _ = try? field.groupKey(in: $0) }
      }
    }
  }
}
