// Random payloads of every type of value, with a few names that tests look for.

import Core

enum RandomPayload {
  static func make(_ random: inout SplitMix64) -> Payload {
    var fields: [String: Value] = [:]
    for name in ["a", "name", "size", "title", "weight", "zz", "other", "été"]
    where Bool.random(using: &random) {
      fields[name] = value(&random, depth: 0)
    }
    return Payload(fields)
  }

  static func value(_ random: inout SplitMix64, depth: Int) -> Value {
    switch Int.random(in: 0..<(depth < 3 ? 14 : 12), using: &random) {
    case 0: .null
    case 1: .bool(.random(using: &random))
    case 2, 3, 4: .int(.random(in: -150...150, using: &random))
    case 5, 6: .double(.random(in: -150...150, using: &random))
    case 7, 8:
      .string(
        String(
          (0..<Int.random(in: 0...200, using: &random)).map { _ in "abcABC €".randomElement(using: &random)! }
        ))
    case 9:
      .bytes((0..<Int.random(in: 0...300, using: &random)).map { _ in .random(in: 0...255, using: &random) })
    case 10:
      .geo(
        latitude: .random(in: -90...90, using: &random), longitude: .random(in: -180...180, using: &random))
    case 11: .datetime(.random(in: 0...1 << 50, using: &random))
    case 12: .array((0..<Int.random(in: 0...4, using: &random)).map { _ in value(&random, depth: depth + 1) })
    default:
      .map(["k": value(&random, depth: depth + 1), "size": value(&random, depth: depth + 1)])
    }
  }
}

extension Value {
  /// An int or a double as a double.
  var number: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }
}
