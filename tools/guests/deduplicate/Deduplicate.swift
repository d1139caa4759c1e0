// Leaves out records that say the same as a nearer one: those with the same value in `key`, and those whose vector is
// within `within` (squared Euclidean distance) of one that is kept. The rest keep the order of their distance.
// Parameters: {"key": "source", "within": 0.01}; one of them is enough.

struct Deduplicate: Scorer {
  private let key: Bytes?
  private let within: Float?
  private var seen: [UInt64] = []
  /// Vectors of what is kept, one after the other.
  private var kept: [Float] = []

  init(parameters: Fields) throws(GuestError) {
    key = parameters.string("key")
    within = parameters.number("within").map { Float($0) }
    guard key != nil || within != nil else { throw GuestError("give 'key', 'within' or both") }
  }

  // Without a key nothing of the payload is wanted; no fields at all would mean all of them.
  var fields: [Bytes] { [key ?? Bytes("-")] }
  var vector: Bytes? { within == nil ? nil : Bytes("*") }

  mutating func score(_ candidate: Candidate) -> Float {
    if let key, let hash = hash(candidate.value(key)) {
      if seen.contains(hash) { return leaveOut }
      seen.append(hash)
    }
    if let within, candidate.vector.count > 0, !candidate.vector[0].isNaN {
      let count = candidate.vector.count
      for start in stride(from: 0, to: kept.count, by: count) {
        var sum: Float = 0
        for index in 0..<count {
          let difference = kept[start + index] - candidate.vector[index]
          sum += difference * difference
        }
        if sum <= within { return leaveOut }
      }
      for index in 0..<count { kept.append(candidate.vector[index]) }
    }
    return -candidate.distance
  }

  /// FNV-1a of a string, or of a number; nil for what cannot be a key.
  private func hash(_ value: FieldValue?) -> UInt64? {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    switch value {
    case .string(let text)?:
      for index in 0..<text.count { hash = (hash ^ UInt64(text[index])) &* 0x100_0000_01b3 }
    case .int(let number)?: hash = (hash ^ UInt64(bitPattern: number)) &* 0x100_0000_01b3
    default: return nil
    }
    return hash
  }
}

typealias ModuleScorer = Deduplicate
