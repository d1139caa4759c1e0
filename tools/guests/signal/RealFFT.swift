// The discrete Fourier transform of real numbers: a complex one of half the size (Cooley and Tukey, 1965), whose
// even and odd parts are taken apart afterwards.

struct RealFFT {
  let size: Int
  /// e^(−2πik/size) for k below size / 2.
  private let cosines: Floats
  private let sines: Floats
  private let real: Floats
  private let imaginary: Floats

  /// - Parameter size: a power of two, at least 4.
  init(_ size: Int) {
    self.size = size
    let half = size / 2
    cosines = .allocate(capacity: half)
    sines = .allocate(capacity: half)
    real = .allocate(capacity: half)
    imaginary = .allocate(capacity: half)
    for k in 0..<half {
      sines[k] = -Float(sine(Double(k) / Double(size)))
      cosines[k] = Float(sine(Double(k) / Double(size) + 0.25))
    }
  }

  func deallocate() {
    for block in [cosines, sines, real, imaginary] { block.deallocate() }
  }

  /// Writes the squared magnitudes of frequencies 0 ... size / 2.
  func power(_ x: UnsafePointer<Float>, into power: Floats) {
    let half = size / 2
    var reversed = 0
    for index in 0..<half {
      real[reversed] = x[2 * index]
      imaginary[reversed] = x[2 * index + 1]
      // The next index with its bits in reverse order.
      var bit = half >> 1
      while bit > 0, reversed & bit != 0 {
        reversed ^= bit
        bit >>= 1
      }
      reversed |= bit
    }
    var width = 1
    while width < half {
      let step = size / (2 * width)
      for first in stride(from: 0, to: half, by: 2 * width) {
        for k in 0..<width {
          let (a, b) = (first + k, first + k + width)
          let (c, s) = (cosines[k * step], sines[k * step])
          let (re, im) = (real[b] * c - imaginary[b] * s, real[b] * s + imaginary[b] * c)
          (real[b], imaginary[b]) = (real[a] - re, imaginary[a] - im)
          (real[a], imaginary[a]) = (real[a] + re, imaginary[a] + im)
        }
      }
      width *= 2
    }
    let (low, high) = (real[0] + imaginary[0], real[0] - imaginary[0])
    power[0] = low * low
    power[half] = high * high
    for k in 1..<half {
      let (a, b) = (k, half - k)
      let (evenRe, evenIm) = ((real[a] + real[b]) / 2, (imaginary[a] - imaginary[b]) / 2)
      let (oddRe, oddIm) = ((imaginary[a] + imaginary[b]) / 2, (real[b] - real[a]) / 2)
      let re = evenRe + oddRe * cosines[k] - oddIm * sines[k]
      let im = evenIm + oddRe * sines[k] + oddIm * cosines[k]
      power[k] = re * re + im * im
    }
  }
}

/// sin 2πx, for x from 0 to 1, within 1e-12.
func sine(_ turns: Double) -> Double {
  var x = turns - turns.rounded(.down)
  var sign = 1.0
  if x >= 0.5 { (x, sign) = (x - 0.5, -1) }
  if x > 0.25 { x = 0.5 - x }
  let angle = x * 2 * Double.pi
  var (sum, term, n) = (angle, angle, 1.0)
  while n < 19 {
    term *= -angle * angle / ((n + 1) * (n + 2))
    sum += term
    n += 2
  }
  return sign * sum
}
