// An embedder of vibration: the power spectrum of a signal by Welch's method (IEEE Trans. Audio Electroacoust. 15,
// 1967) in 256 bands, in decibels above their mean, of length 1. How loud and how long the signal is does not
// count, what it is made of does.
//
// - Pieces of about a quarter of a second, a power of two long, overlap by half; each loses its mean and is
//   weighted with a Hann window. Their power spectra are averaged.
// - The bands divide 5 Hz to 20 kHz evenly on a logarithmic scale, whatever the sample rate; narrow ones at low
//   frequencies take their share of a line of the spectrum. Bands above half the sample rate are 0.
// - Bands more than 60 dB below the strongest count as 60 dB below, so that noise far below is not compared.

struct Signal: BytesEmbedder {
  static let dimension = 256
  private static let lowest: Float = 5
  private static let highest: Float = 20_000
  private static let decibelsMax: Float = 60
  private static let sizes = 64...16_384

  init() {}

  mutating func embed(_ bytes: Bytes, into vector: Floats) throws(GuestError) {
    let signal = try SignalFile(bytes)
    guard signal.count >= Self.sizes.lowerBound else {
      throw GuestError("the signal is too short: it has less than 64 samples")
    }
    var size = Self.sizes.lowerBound
    while size < Self.sizes.upperBound, Float(size) < signal.rate / 4, size * 2 <= signal.count { size *= 2 }
    let spectrum = Floats.allocate(capacity: size / 2 + 1)
    defer { spectrum.deallocate() }
    try average(signal, size, into: spectrum)
    bands(spectrum, size, rate: signal.rate, into: vector)
  }

  /// The mean power spectrum of the pieces, frequencies 0 ... size / 2.
  private func average(_ signal: SignalFile, _ size: Int, into spectrum: Floats) throws(GuestError) {
    let transform = RealFFT(size)
    let (piece, power, window) = (
      Floats.allocate(capacity: size), Floats.allocate(capacity: size / 2 + 1),
      Floats.allocate(capacity: size)
    )
    defer {
      transform.deallocate()
      for block in [piece, power, window] { block.deallocate() }
    }
    for index in 0..<size { window[index] = 0.5 - 0.5 * Float(sine(Double(index) / Double(size) + 0.25)) }
    spectrum.update(repeating: 0, count: size / 2 + 1)
    var start = 0
    while start + size <= signal.count {
      var mean: Float = 0
      for index in 0..<size {
        piece[index] = try signal.sample(start + index)
        mean += piece[index]
      }
      mean /= Float(size)
      for index in 0..<size { piece[index] = (piece[index] - mean) * window[index] }
      transform.power(piece, into: power)
      for index in 0...size / 2 { spectrum[index] += power[index] }
      start += size / 2
    }
  }

  private func bands(_ spectrum: UnsafePointer<Float>, _ size: Int, rate: Float, into vector: Floats) {
    let line = rate / Float(size)
    // Below the first line there is only what the mean has left.
    let lines = (0.5, Float(size / 2) + 0.5)
    let ratio = logarithm(Self.highest / Self.lowest) / Float(Self.dimension)
    var (known, strongest): (Int, Float) = (0, 0)
    var edge = Self.lowest
    for band in 0..<Self.dimension {
      let next = Self.lowest * exponential(ratio * Float(band + 1))
      let (from, to) = (max(edge / line, Float(lines.0)), next / line)
      edge = next
      guard edge <= rate / 2, to < lines.1 else { break }
      // Line k stands for k − ½ to k + ½; the mean power in the band.
      var sum: Float = 0
      var at = from
      while at < to {
        let k = (at + 0.5).rounded(.down)
        let end = min(k + 0.5, to)
        sum += spectrum[min(max(Int(k), 1), size / 2)] * (end - at)
        if end <= at { break }
        at = end
      }
      vector[band] = to > from ? sum / (to - from) : spectrum[1]
      strongest = max(strongest, vector[band])
      known = band + 1
    }
    finish(vector, known, strongest)
  }

  /// From power to decibels above the mean, of length 1.
  private func finish(_ vector: Floats, _ known: Int, _ strongest: Float) {
    var mean: Float = 0
    for band in 0..<known {
      let relative = strongest > 0 ? max(vector[band] / strongest, 1e-12) : 1
      vector[band] = max(10 * logarithm(relative) / 2.3025851, -Self.decibelsMax)
      mean += vector[band]
    }
    mean /= Float(max(1, known))
    var square: Float = 0
    for band in 0..<known {
      vector[band] -= mean
      square += vector[band] * vector[band]
    }
    // Silence, or the same in all bands: like other signals without features.
    guard square > 1e-6 else {
      return vector.update(repeating: 1 / Float(Self.dimension).squareRoot(), count: Self.dimension)
    }
    let scale = 1 / square.squareRoot()
    for band in 0..<known { vector[band] *= scale }
  }
}

typealias ModuleBytesEmbedder = Signal
