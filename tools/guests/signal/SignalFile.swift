// The samples of a signal: a WAV file (RIFF, 16-bit whole numbers or 32-bit floats), or samples behind a head of 12
// bytes: "RSIG", format u32 (1: f32, 2: i16), sample rate f32 in Hz. All little-endian.

struct SignalFile {
  let rate: Float
  let count: Int
  private let start: UnsafeRawPointer
  private let isFloat: Bool
  private let channels: Int

  init(_ bytes: Bytes) throws(GuestError) {
    guard bytes.count >= 12 else { throw GuestError("the input is no signal: it has less than 12 bytes") }
    func word(_ at: Int) -> UInt32 { bytes.start.loadUnaligned(fromByteOffset: at, as: UInt32.self) }
    var (format, rate, channels, data): (Int, Float, Int, Bytes?) = (0, 0, 1, nil)
    if word(0) == 0x4749_5352 {
      rate = Float(bitPattern: word(8))
      format = word(4) == 1 ? 1 : word(4) == 2 ? 2 : 0
      data = Bytes(start: bytes.start + 12, count: bytes.count - 12)
    } else if word(0) == 0x4646_4952, word(8) == 0x4556_4157 {
      var at = 12
      while at + 8 <= bytes.count, data == nil {
        let (kind, length) = (word(at), min(Int(clamping: word(at + 4)), bytes.count - at - 8))
        if kind == 0x2074_6d66, length >= 16 {
          var coding = word(at + 8) & 0xffff
          // Extensible: the coding stands further behind.
          if coding == 0xfffe, length >= 28 { coding = word(at + 32) & 0xffff }
          channels = Int(word(at + 8) >> 16)
          rate = Float(word(at + 12))
          let bits = word(at + 20) >> 16
          format = coding == 3 && bits == 32 ? 1 : coding == 1 && bits == 16 ? 2 : 0
        }
        if kind == 0x6174_6164 { data = Bytes(start: bytes.start + at + 8, count: length) }
        at += 8 + length + length % 2
      }
    } else {
      throw GuestError("the input is no signal: neither a WAV file nor one that begins with RSIG")
    }
    guard let data, format > 0, (1...64).contains(channels) else {
      throw GuestError(
        "the signal is damaged, or its samples are neither 16-bit whole numbers nor 32-bit floats")
    }
    guard rate >= 1, rate <= 10_000_000 else {
      throw GuestError("the sample rate is not between 1 Hz and 10 MHz")
    }
    isFloat = format == 1
    self.rate = rate
    self.channels = channels
    start = data.start
    count = data.count / (channels * (isFloat ? 4 : 2))
  }

  /// The mean of all channels at one time.
  func sample(_ index: Int) throws(GuestError) -> Float {
    var sum: Float = 0
    for channel in index * channels..<(index + 1) * channels {
      if isFloat {
        sum += start.loadUnaligned(fromByteOffset: channel * 4, as: Float.self)
      } else {
        sum += Float(start.loadUnaligned(fromByteOffset: channel * 2, as: Int16.self)) / 32_768
      }
    }
    guard abs(sum) <= 1e15 else {
      throw GuestError("a sample of the signal is not a number, or beyond all measure")
    }
    return sum / Float(channels)
  }
}
