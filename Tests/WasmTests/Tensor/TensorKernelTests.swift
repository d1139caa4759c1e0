// The tensor kernels of every level that this machine has, against sums in double.

import CKernels
import Core
import Glibc
import Testing

@Suite struct TensorKernelTests {
  private static let levels = (0...4).filter { roost_level_available(Int32($0)) != 0 }

  private func random(_ count: Int, _ random: inout SplitMix64, _ range: ClosedRange<Float> = -1...1)
    -> [Float]
  {
    (0..<count).map { _ in .random(in: range, using: &random) }
  }

  private func pack(_ weights: Int32, _ matrix: [Float], _ inputs: Int, _ outputs: Int) -> [UInt8] {
    var packed = [UInt8](repeating: 0xff, count: roost_packed_bytes(weights, inputs, outputs))
    matrix.withUnsafeBufferPointer { from in
      packed.withUnsafeMutableBytes { to in
        if let matrix = from.baseAddress, let to = to.baseAddress {
          roost_pack(weights, matrix, inputs, outputs, 1, inputs, to)
        }
      }
    }
    return packed
  }

  private func linear(
    _ level: Int, _ weights: Int32, _ activation: Int32, rows: Int, inputs: Int, outputs: Int, _ x: [Float],
    _ packed: [UInt8], _ bias: [Float]
  ) -> [Float] {
    var y = [Float](repeating: .nan, count: rows * outputs)
    var scratch = [UInt8](repeating: 0, count: roost_linear_scratch_bytes(weights, inputs, rows))
    x.withUnsafeBufferPointer { x in
      packed.withUnsafeBytes { packed in
        bias.withUnsafeBufferPointer { bias in
          y.withUnsafeMutableBufferPointer { y in
            scratch.withUnsafeMutableBytes { scratch in
              guard let from = x.baseAddress, let packed = packed.baseAddress, let to = y.baseAddress else {
                return
              }
              var call = roost_linear(
                weights: weights, activation: activation, rows: rows, inputs: inputs, outputs: outputs,
                x: from,
                x_stride: inputs, packed: packed, bias: bias.baseAddress, y: to, y_stride: outputs,
                scratch: scratch.baseAddress)
              roost_tensor_kernel_at(Int32(level)).pointee.linear(&call)
            }
          }
        }
      }
    }
    return y
  }

  @Test(arguments: [Int32(1), 2, 3])
  func linearLayersEqualSumsInDouble(weights: Int32) {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    for (rows, inputs, outputs) in [(1, 1, 1), (5, 3, 31), (13, 37, 33), (12, 64, 32), (25, 130, 70)] {
      let x = random(rows * inputs, &generator)
      let matrix = random(inputs * outputs, &generator)
      let bias = random(outputs, &generator)
      let packed = pack(weights, matrix, inputs, outputs)
      // What rounding may cost: 2^-9 of each product for bf16, 1/254 of each factor's range for 8 bits.
      let tolerance =
        [1: 1e-5, 2: 0.004, 3: 0.016][Int(weights), default: 0] * (Double(inputs).squareRoot() + 1)
      for level in Self.levels {
        let y = linear(level, weights, 0, rows: rows, inputs: inputs, outputs: outputs, x, packed, bias)
        for row in 0..<rows {
          for output in 0..<outputs {
            var sum = Double(bias[output])
            for input in 0..<inputs {
              sum += Double(x[row * inputs + input]) * Double(matrix[output * inputs + input])
            }
            let found = Double(y[row * outputs + output])
            #expect(abs(found - sum) <= tolerance, "seed \(seed) level \(level) \(rows)x\(inputs)x\(outputs)")
          }
        }
      }
    }
  }

  /// Integer sums do not depend on the order, so all levels give the same bits.
  @Test func eightBitLayersAreTheSameAtEveryLevel() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    let (rows, inputs, outputs) = (14, 75, 45)
    let x = random(rows * inputs, &generator, -3...3)
    let packed = pack(3, random(inputs * outputs, &generator), inputs, outputs)
    let results = Self.levels.map {
      linear(
        $0, 3, 0, rows: rows, inputs: inputs, outputs: outputs, x, packed,
        [Float](repeating: 0, count: outputs))
    }
    for result in results { #expect(result == results[0], "seed \(seed)") }
  }

  @Test func activationsAreWhatTheySay() {
    let x: [Float] = [-100, -3, -1, -0.1, 0, 0.1, 1, 3, 5.9, 6.1, 100, 0.5, -0.5, 2, -2, 4, 7]
    func expected(_ activation: Int32, _ x: Double) -> Double {
      switch activation {
      case 1: max(x, 0)
      case 2: min(max(x, 0), 6)
      case 3: x * 0.5 * (1 + erf(x / 2.0.squareRoot()))
      case 4: 1 / (1 + exp(-x))
      case 5: tanh(x)
      default: x
      }
    }
    for level in Self.levels {
      for activation in Int32(0)...5 {
        var y = x
        roost_tensor_kernel_at(Int32(level)).pointee.activate(activation, &y, y.count)
        for (index, value) in y.enumerated() {
          let right = expected(activation, Double(x[index]))
          #expect(
            abs(Double(value) - right) <= 4e-7 * max(1, abs(right)), "\(level) \(activation) of \(x[index])")
        }
      }
    }
  }

  @Test func rowsAreNormalised() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    let (rows, width) = (3, 53)
    let x = random(rows * width, &generator, -8...8)
    let (gamma, beta) = (random(width, &generator), random(width, &generator))
    for level in Self.levels {
      let kernel = roost_tensor_kernel_at(Int32(level)).pointee
      var soft = x
      kernel.softmax(&soft, rows, width)
      var normal = x
      kernel.layer_norm(x, rows, width, gamma, beta, 1e-5, &normal)
      for row in 0..<rows {
        let part = x[row * width..<(row + 1) * width].map(Double.init)
        let total = part.reduce(0) { $0 + exp($1) }
        let mean = part.reduce(0, +) / Double(width)
        let variance = part.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
        for column in 0..<width {
          #expect(abs(Double(soft[row * width + column]) - exp(part[column]) / total) < 1e-6, "seed \(seed)")
          let right =
            (part[column] - mean) / (variance + 1e-5).squareRoot() * Double(gamma[column])
            + Double(beta[column])
          #expect(abs(Double(normal[row * width + column]) - right) < 1e-5, "seed \(seed)")
        }
      }
    }
  }

  @Test func depthwiseConvolutionsEqualSumsInDouble() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    for (height, width, channels, kernel, stride, pad) in [
      (7, 5, 19, 3, 1, 1), (9, 9, 32, 3, 2, 1), (6, 6, 3, 5, 1, 2), (4, 4, 16, 2, 2, 0),
    ] {
      let (outHeight, outWidth) = (
        (height + 2 * pad - kernel) / stride + 1, (width + 2 * pad - kernel) / stride + 1
      )
      let x = random(height * width * channels, &generator)
      let filter = random(kernel * kernel * channels, &generator)
      let bias = random(channels, &generator)
      for level in Self.levels {
        var y = [Float](repeating: .nan, count: outHeight * outWidth * channels)
        x.withUnsafeBufferPointer { x in
          filter.withUnsafeBufferPointer { filter in
            bias.withUnsafeBufferPointer { bias in
              y.withUnsafeMutableBufferPointer { y in
                guard let x = x.baseAddress, let filter = filter.baseAddress, let y = y.baseAddress else {
                  return
                }
                var call = roost_depthwise(
                  activation: 0, height: height, width: width, channels: channels, kernel_height: kernel,
                  kernel_width: kernel, stride: stride, pad_top: pad, pad_left: pad, out_height: outHeight,
                  out_width: outWidth, x: x, filter: filter, bias: bias.baseAddress, y: y)
                roost_tensor_kernel_at(Int32(level)).pointee.depthwise(&call)
              }
            }
          }
        }
        for row in 0..<outHeight {
          for column in 0..<outWidth {
            for channel in 0..<channels {
              var sum = Double(bias[channel])
              for i in 0..<kernel {
                for j in 0..<kernel {
                  let (v, h) = (row * stride + i - pad, column * stride + j - pad)
                  guard (0..<height).contains(v), (0..<width).contains(h) else { continue }
                  sum +=
                    Double(x[(v * width + h) * channels + channel])
                    * Double(filter[(i * kernel + j) * channels + channel])
                }
              }
              let found = Double(y[(row * outWidth + column) * channels + channel])
              #expect(abs(found - sum) < 1e-5, "seed \(seed) level \(level)")
            }
          }
        }
      }
    }
  }

  /// Windows inside the image and beyond its edges, few and many outputs, near and far weights.
  @Test(arguments: [Int32(1), 2])
  func convolutionsEqualSumsInDouble(weights: Int32) {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    for (height, width, channels, outputs, kernel, stride, pad, isPadded) in [
      (9, 7, 5, 20, 3, 1, 1, true), (8, 8, 3, 33, 3, 2, 0, false), (6, 15, 19, 64, 2, 1, 3, true),
      (4, 4, 260, 96, 3, 1, 1, true), (5, 5, 2, 1, 5, 1, 6, true),
    ] {
      let (outHeight, outWidth) = (
        (height + 2 * pad - kernel) / stride + 1, (width + 2 * pad - kernel) / stride + 1
      )
      let inputs = kernel * kernel * channels
      let x = random(height * width * channels, &generator)
      let matrix = random(inputs * outputs, &generator)
      let bias = random(outputs, &generator)
      let packed = pack(weights, matrix, inputs, outputs)
      let (reachHeight, reachWidth) = ((outHeight - 1) * stride + kernel, (outWidth - 1) * stride + kernel)
      let tolerance = (weights == 1 ? 1e-5 : 0.004) * (Double(inputs).squareRoot() + 1)
      for level in Self.levels {
        var y = [Float](repeating: .nan, count: outHeight * outWidth * outputs)
        var scratch = [Float](repeating: .nan, count: reachHeight * reachWidth * channels)
        x.withUnsafeBufferPointer { x in
          packed.withUnsafeBytes { packed in
            bias.withUnsafeBufferPointer { bias in
              scratch.withUnsafeMutableBytes { scratch in
                y.withUnsafeMutableBufferPointer { y in
                  guard let x = x.baseAddress, let packed = packed.baseAddress, let y = y.baseAddress else {
                    return
                  }
                  var call = roost_convolution(
                    weights: weights, activation: 0, height: height, width: width, channels: channels,
                    outputs: outputs, kernel_height: kernel, kernel_width: kernel, stride: stride,
                    pad_top: pad,
                    pad_left: pad, out_height: outHeight, out_width: outWidth, x: x, packed: packed,
                    bias: bias.baseAddress, y: y, scratch: isPadded ? scratch.baseAddress : nil,
                    padded_height: reachHeight, padded_width: reachWidth)
                  roost_tensor_kernel_at(Int32(level)).pointee.convolve(&call)
                }
              }
            }
          }
        }
        for row in 0..<outHeight {
          for column in 0..<outWidth {
            for output in 0..<outputs {
              var sum = Double(bias[output])
              for i in 0..<kernel {
                for j in 0..<kernel {
                  let (v, h) = (row * stride + i - pad, column * stride + j - pad)
                  guard (0..<height).contains(v), (0..<width).contains(h) else { continue }
                  for channel in 0..<channels {
                    sum +=
                      Double(x[(v * width + h) * channels + channel])
                      * Double(matrix[output * inputs + (i * kernel + j) * channels + channel])
                  }
                }
              }
              let found = Double(y[(row * outWidth + column) * outputs + output])
              #expect(abs(found - sum) < tolerance, "seed \(seed) level \(level) \(height)x\(width)")
            }
          }
        }
      }
    }
  }
}
