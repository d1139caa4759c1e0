// Datetimes as people write them: RFC 3339, in the filter language, in JSON and in the tools.

/// Converts between microseconds since 1970-01-01T00:00:00Z and RFC 3339 text (proleptic Gregorian
/// calendar, no leap seconds).
public enum DatetimeText {
  /// `2026-01-02T03:04:05.000006Z`, the fraction only when it is not zero. Instants outside the years
  /// 0000...9999, for which RFC 3339 has no text, are written `@` and the microseconds.
  public static func format(_ micros: Int64) -> String {
    let (day, microsOfDay) = floorDivide(micros, by: 86_400_000_000)
    let (year, month, dayOfMonth) = civil(fromDay: day)
    guard (0...9999).contains(year) else { return "@\(micros)" }
    let (seconds, fraction) = floorDivide(microsOfDay, by: 1_000_000)
    var text = "\(pad(year, 4))-\(pad(month, 2))-\(pad(dayOfMonth, 2))T"
    text += "\(pad(seconds / 3600, 2)):\(pad(seconds / 60 % 60, 2)):\(pad(seconds % 60, 2))"
    if fraction != 0 {
      text += "."
      var digits = pad(fraction, 6)
      while digits.hasSuffix("0") { digits.removeLast() }
      text += digits
    }
    return text + "Z"
  }

  /// Reads RFC 3339 with `Z` or an offset, a date alone (midnight UTC), or `@` and microseconds.
  /// Nil when the text is neither, or names a finer instant than a microsecond.
  public static func parse(_ text: String) -> Int64? {
    if text.hasPrefix("@") { return Int64(text.dropFirst()) }
    var scanner = Scanner(bytes: Array(text.utf8))
    guard let year = scanner.digits(4), scanner.take("-"), let month = scanner.digits(2), scanner.take("-"),
      let dayOfMonth = scanner.digits(2), (1...12).contains(month),
      (1...daysIn(month: month, year: year)).contains(dayOfMonth)
    else { return nil }
    let dayMicros = day(year: year, month: month, dayOfMonth: dayOfMonth) * 86_400_000_000
    if scanner.isAtEnd { return dayMicros }
    guard scanner.take("T") || scanner.take("t") || scanner.take(" "),
      let hour = scanner.digits(2), scanner.take(":"), let minute = scanner.digits(2), scanner.take(":"),
      let second = scanner.digits(2), hour < 24, minute < 60, second < 60
    else { return nil }
    guard let fraction = scanner.fraction(), let offset = scanner.offsetSeconds(), scanner.isAtEnd else {
      return nil
    }
    return dayMicros + (hour * 3600 + minute * 60 + second - offset) * 1_000_000 + fraction
  }

  // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": eras of 400 years that begin on March 1.

  static func day(year: Int64, month: Int64, dayOfMonth: Int64) -> Int64 {
    let shiftedYear = month <= 2 ? year - 1 : year
    let (era, yearOfEra) = floorDivide(shiftedYear, by: 400)
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + dayOfMonth - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  static func civil(fromDay day: Int64) -> (year: Int64, month: Int64, dayOfMonth: Int64) {
    let (era, dayOfEra) = floorDivide(day + 719_468, by: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }

  private static func daysIn(month: Int64, year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private static func floorDivide(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }

  private static func pad(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  private struct Scanner {
    let bytes: [UInt8]
    var offset = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
      guard offset < bytes.count, bytes[offset] == UInt8(ascii: character) else { return false }
      offset += 1
      return true
    }

    mutating func digit() -> Int64? {
      guard offset < bytes.count, (0x30...0x39).contains(bytes[offset]) else { return nil }
      defer { offset += 1 }
      return Int64(bytes[offset] - 0x30)
    }

    mutating func digits(_ count: Int) -> Int64? {
      var value: Int64 = 0
      for _ in 0..<count {
        guard let next = digit() else { return nil }
        value = value * 10 + next
      }
      return value
    }

    /// Microseconds after an optional decimal point; nil when there are no or more than six digits.
    mutating func fraction() -> Int64? {
      guard take(".") else { return 0 }
      var value: Int64 = 0
      var count = 0
      while let next = digit() {
        count += 1
        if count > 6 {
          guard next == 0 else { return nil }
          continue
        }
        value = value * 10 + next
      }
      guard count > 0 else { return nil }
      for _ in min(count, 6)..<6 { value *= 10 }
      return value
    }

    mutating func offsetSeconds() -> Int64? {
      if take("Z") || take("z") { return 0 }
      let sign: Int64
      if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
      guard let hours = digits(2), take(":"), let minutes = digits(2), hours < 24, minutes < 60 else {
        return nil
      }
      return sign * (hours * 3600 + minutes * 60)
    }
  }
}
