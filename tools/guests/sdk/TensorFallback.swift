// Roost guest SDK: what the tensor capability does, in the module's own code, for a module that was not
// granted it. Plain loops with 4-lane vectors.

enum TensorFallback {
  private static let panel = 32

  static func linear(
    _ layer: Linear, _ x: UnsafePointer<Float>, _ rows: Int, _ activation: Activation, _ y: Floats
  ) {
    var row = 0
    if layer.weights == .f32 {
      while row + 4 <= rows {
        fourRows(layer, x + row * layer.inputs, activation, y + row * layer.outputs)
        row += 4
      }
    }
    for row in row..<rows {
      for first in stride(from: 0, to: layer.outputs, by: 4) {
        var sum = products(layer, x + row * layer.inputs, first)
        for lane in 0..<min(4, layer.outputs - first) {
          if let bias = layer.bias { sum[lane] += bias[first + lane] }
          y[row * layer.outputs + first + lane] = apply(activation, sum[lane])
        }
      }
    }
  }

  /// Four rows of inputs with eight outputs at a time, so that what is loaded is used several times.
  private static func fourRows(
    _ layer: Linear, _ x: UnsafePointer<Float>, _ activation: Activation, _ y: Floats
  ) {
    typealias Lanes = SIMD4<Float>
    let inputs = layer.inputs
    let (x1, x2, x3) = (x + inputs, x + 2 * inputs, x + 3 * inputs)
    for first in stride(from: 0, to: layer.outputs, by: 8) {
      var weights = layer.packed + ((first / panel) * inputs * panel + first % panel) * 4
      var (a0, a1, b0, b1) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
      var (c0, c1, d0, d1) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
      for index in 0..<inputs {
        let (low, high) = (
          weights.loadUnaligned(as: Lanes.self), weights.loadUnaligned(fromByteOffset: 16, as: Lanes.self)
        )
        let (a, b, c, d) = (x[index], x1[index], x2[index], x3[index])
        a0 += low * a
        a1 += high * a
        b0 += low * b
        b1 += high * b
        c0 += low * c
        c1 += high * c
        d0 += low * d
        d1 += high * d
        weights += panel * 4
      }
      let count = min(8, layer.outputs - first)
      func finish(_ low: Lanes, _ high: Lanes, _ row: Int) {
        let to = y + row * layer.outputs + first
        for lane in 0..<count {
          let sum = (lane < 4 ? low[lane] : high[lane - 4]) + (layer.bias?[first + lane] ?? 0)
          to[lane] = apply(activation, sum)
        }
      }
      finish(a0, a1, 0)
      finish(b0, b1, 1)
      finish(c0, c1, 2)
      finish(d0, d1, 3)
    }
  }

  /// The products of one row of inputs with four outputs.
  private static func products(_ layer: Linear, _ x: UnsafePointer<Float>, _ first: Int) -> SIMD4<Float> {
    let (block, lane) = (first / panel, first % panel)
    var sum = SIMD4<Float>(repeating: 0)
    switch layer.weights {
    case .f32:
      let weights = layer.packed + (block * layer.inputs * panel + lane) * 4
      for index in 0..<layer.inputs {
        sum += weights.loadUnaligned(fromByteOffset: index * panel * 4, as: SIMD4<Float>.self) * x[index]
      }
    case .bf16:
      let weights = layer.packed + (block * layer.inputs * panel + lane) * 2
      for index in 0..<layer.inputs {
        let halves = weights.loadUnaligned(fromByteOffset: index * panel * 2, as: SIMD4<UInt16>.self)
        let bits = SIMD4<UInt32>(truncatingIfNeeded: halves) &<< 16
        sum += unsafeBitCast(bits, to: SIMD4<Float>.self) * x[index]
      }
    case .i8:
      let groups = (layer.inputs + 3) / 4
      let start = layer.packed + block * (panel * 8 + groups * panel * 4)
      for index in 0..<layer.inputs {
        let at = start + panel * 8 + (index / 4 * panel + lane) * 4 + index % 4
        let levels = SIMD4<Float>(
          Float(at.load(as: Int8.self)), Float(at.load(fromByteOffset: 4, as: Int8.self)),
          Float(at.load(fromByteOffset: 8, as: Int8.self)), Float(at.load(fromByteOffset: 12, as: Int8.self)))
        sum += levels * x[index]
      }
      sum *= start.loadUnaligned(fromByteOffset: lane * 4, as: SIMD4<Float>.self)
    }
    return sum
  }

  static func multiply(
    _ a: Matrices, _ b: Matrices, _ transposed: Bool, _ count: Int, _ rows: Int, _ inner: Int, _ columns: Int,
    _ scale: Float, _ c: Matrices
  ) {
    let (across, down) = transposed ? (b.stride, 1) : (1, b.stride)
    for matrix in 0..<count {
      let (left, right) = (a.start + matrix * a.step, b.start + matrix * b.step)
      for row in 0..<rows {
        for column in 0..<columns {
          var sum: Float = 0
          for index in 0..<inner {
            sum += left[row * a.stride + index] * right[index * down + column * across]
          }
          c.start[matrix * c.step + row * c.stride + column] = sum * scale
        }
      }
    }
  }

  static func softmax(_ x: Floats, _ width: Int) {
    var largest = -Float.infinity
    for index in 0..<width { largest = max(largest, x[index]) }
    if largest == -.infinity { largest = 0 }
    var sum: Float = 0
    for index in 0..<width {
      x[index] = exponential(x[index] - largest)
      sum += x[index]
    }
    for index in 0..<width { x[index] /= sum }
  }

  static func layerNorm(
    _ x: Floats, _ width: Int, _ gamma: UnsafePointer<Float>, _ beta: UnsafePointer<Float>, _ epsilon: Float,
    _ y: Floats
  ) {
    var sum: Float = 0
    for index in 0..<width { sum += x[index] }
    let mean = sum / Float(width)
    var square: Float = 0
    for index in 0..<width { square += (x[index] - mean) * (x[index] - mean) }
    let scale = 1 / (square / Float(width) + epsilon).squareRoot()
    for index in 0..<width { y[index] = (x[index] - mean) * scale * gamma[index] + beta[index] }
  }

  static func apply(_ activation: Activation, _ x: Float) -> Float {
    switch activation {
    case .identity: return x
    case .relu: return max(x, 0)
    case .relu6: return min(max(x, 0), 6)
    case .gelu:
      let size = abs(x) * 0.70710678
      let t = 1 / (1 + 0.3275911 * size)
      let tail =
        t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
      let erf = 1 - tail * exponential(-size * size)
      return x * 0.5 * (1 + (x < 0 ? -erf : erf))
    case .sigmoid: return 1 / (1 + exponential(-x))
    case .tanh: return 2 / (1 + exponential(-2 * x)) - 1
    }
  }

  /// e^x within 2 ulp for x in −87...88, clamped to that (Cephes, expf).
  static func exponential(_ x: Float) -> Float {
    guard !x.isNaN else { return x }
    let x = min(max(x, -87), 88)
    let power = (x * 1.44269504).rounded(.toNearestOrEven)
    let r = x - power * 0.693359375 + power * 2.12194440e-4
    var p: Float = 1.9875691500e-4
    p = p * r + 1.3981999507e-3
    p = p * r + 8.3334519073e-3
    p = p * r + 4.1665795894e-2
    p = p * r + 1.6666665459e-1
    p = p * r + 5.0000001201e-1
    p = p * r * r + r + 1
    return p * Float(bitPattern: UInt32(Int32(power) + 127) << 23)
  }
}
