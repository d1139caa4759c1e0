// Functions of one number that the SDK has no need for; as exact as f32 allows, but for a few units in the last place.

/// ln x (Cephes, logf).
func logarithm(_ x: Float) -> Float {
  if x.isNaN || x < 0 { return .nan }
  if x == 0 { return -.infinity }
  if x == .infinity { return x }
  var (mantissa, exponent) = (x.significand / 2, Float(x.exponent) + 1)
  if mantissa < 0.70710678 {
    mantissa = mantissa * 2 - 1
    exponent -= 1
  } else {
    mantissa -= 1
  }
  let square = mantissa * mantissa
  var p: Float = 7.0376836292e-2
  p = p * mantissa - 1.1514610310e-1
  p = p * mantissa + 1.1676998740e-1
  p = p * mantissa - 1.2420140846e-1
  p = p * mantissa + 1.4249322787e-1
  p = p * mantissa - 1.6668057665e-1
  p = p * mantissa + 2.0000714765e-1
  p = p * mantissa - 2.4999993993e-1
  p = p * mantissa + 3.3333331174e-1
  let tail = p * mantissa * square - 2.12194440e-4 * exponent - 0.5 * square
  return mantissa + tail + 0.693359375 * exponent
}

func power(_ x: Float, _ y: Float) -> Float {
  if y == 2 { return x * x }
  if y == 0.5 { return x.squareRoot() }
  if y.rounded(.towardZero) == y, abs(y) <= 64 {
    var (result, factor, left) = (Float(1), x, Int(abs(y)))
    while left > 0 {
      if left & 1 == 1 { result *= factor }
      factor *= factor
      left >>= 1
    }
    return y < 0 ? 1 / result : result
  }
  if x == 0 { return y > 0 ? 0 : .infinity }
  return x < 0 ? .nan : exponential(y * logarithm(x))
}

/// e^x; unlike the kernels', right outside −87...88 as well.
func exponential(_ x: Float) -> Float {
  if x > 88.72 { return .infinity }
  if x < -103 { return 0 }
  if x < -87 { return TensorFallback.exponential(x + 32) * 1.2664165e-14 }
  return x > 88 ? TensorFallback.exponential(x - 1) * 2.7182817 : TensorFallback.exponential(x)
}

/// The error function within 1.5e-7 (Abramowitz and Stegun 7.1.26).
func errorFunction(_ x: Float) -> Float {
  let size = abs(x)
  let t = 1 / (1 + 0.3275911 * size)
  let tail =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
  let erf = 1 - tail * exponential(-size * size)
  return x < 0 ? -erf : erf
}
