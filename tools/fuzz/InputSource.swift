// Makes inputs: samples that are valid, mutated in the ways that break decoders, or plain noise.

import Core

/// A stream of random choices for one input; the same seed makes the same input.
struct InputSource {
  private var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  mutating func below(_ limit: Int) -> Int { Int(random.next() % UInt64(max(limit, 1))) }
  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: random.next()) }
  mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }
  mutating func noise(_ limit: Int) -> [UInt8] { (0..<below(limit)).map { _ in byte() } }

  /// One of the samples with up to eight mutations, or noise.
  mutating func mutated(_ samples: [[UInt8]], noiseLimit: Int = 256) -> [UInt8] {
    guard !samples.isEmpty, below(16) != 0 else { return noise(noiseLimit) }
    var bytes = pick(samples)
    for _ in 0..<below(8) { mutate(&bytes, samples) }
    return bytes
  }

  private mutating func mutate(_ bytes: inout [UInt8], _ samples: [[UInt8]]) {
    let interesting: [UInt8] = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xfe, 0xff]
    let place = below(bytes.count + 1)
    switch below(9) {
    case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8(below(8))
    case 1 where place < bytes.count: bytes[place] = pick(interesting)
    case 2 where place < bytes.count: bytes[place] = byte()
    case 3: bytes.insert(contentsOf: noise(9), at: place)
    case 4: bytes.removeSubrange(place..<min(bytes.count, place + below(9)))
    case 5: bytes.removeSubrange(place...)
    case 6:  // a number of four or eight bytes, as lengths are
      for index in place..<min(bytes.count, place + pick([2, 4, 8])) {
        bytes[index] = pick([0, 0xff, 0x7f, byte()])
      }
    case 7:  // a piece of another sample
      let other = pick(samples)
      let start = below(other.count + 1)
      bytes.insert(contentsOf: other[start..<min(other.count, start + below(64))], at: place)
    default:  // a piece of itself again
      bytes.insert(contentsOf: Array(bytes[place..<min(bytes.count, place + below(32))]), at: place)
    }
  }
}
