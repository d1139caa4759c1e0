import Core
import Foundation
import Testing

@Suite struct DatetimeTextTests {
  @Test func knownInstants() {
    #expect(DatetimeText.format(0) == "1970-01-01T00:00:00Z")
    #expect(DatetimeText.format(-1) == "1969-12-31T23:59:59.999999Z")
    #expect(DatetimeText.format(951_782_400_000_000) == "2000-02-29T00:00:00Z")
    #expect(DatetimeText.parse("2000-02-29") == 951_782_400_000_000)
    #expect(DatetimeText.parse("1970-01-01T01:00:00.5+01:00") == 500_000)
    #expect(DatetimeText.parse("1970-01-01 00:00:00.0000010z") == 1)
    #expect(DatetimeText.format(.min) == "@-9223372036854775808")
    #expect(DatetimeText.parse("@-9223372036854775808") == .min)
  }

  @Test(arguments: [
    "", "2026", "2026-13-01", "2026-02-29", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
    "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.0000001Z", "2026-01-01T00:00:00Zx", "@", "@1.5",
    "2026-01-01T",
    "99999-01-01", "2026-1-1",
  ]) func refuses(_ text: String) { #expect(DatetimeText.parse(text) == nil) }

  @Test func readsBackAndAgreesWithFoundation() {
    let seed = UInt64.random(in: 0..<1_000_000)
    var random = SplitMix64(seed: seed)
    let formatter = ISO8601DateFormatter()
    for _ in 0..<2_000 {
      let any = Int64.random(in: .min ... .max, using: &random)
      #expect(DatetimeText.parse(DatetimeText.format(any)) == any, "seed \(seed)")
      // 1600 to 2400; Foundation's calendar turns Julian before 1582.
      let seconds = Int64.random(in: -11_676_096_000...13_569_465_600, using: &random)
      let text = formatter.string(from: Date(timeIntervalSince1970: Double(seconds)))
      #expect(DatetimeText.format(seconds * 1_000_000) == text, "seed \(seed)")
      #expect(DatetimeText.parse(text) == seconds * 1_000_000, "seed \(seed)")
    }
  }
}
