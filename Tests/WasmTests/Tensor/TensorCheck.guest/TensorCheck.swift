// A guest for the tests: does the arithmetic of the SDK with the host and by itself, and gives the largest
// difference of each function.

struct TensorCheck: Embedder {
  static let dimension = 8

  init() {}

  mutating func embed(_ text: Bytes, into vector: Floats) throws(GuestError) {
    var state: UInt32 = 12345
    func numbers(_ count: Int) -> Floats {
      let numbers = Floats.allocate(capacity: count)
      for index in 0..<count {
        state = state &* 1_664_525 &+ 1_013_904_223
        numbers[index] = Float(Int32(bitPattern: state)) / 2_147_483_648
      }
      return numbers
    }
    func difference(_ a: Floats, _ b: Floats, _ count: Int) -> Float {
      var largest: Float = 0
      for index in 0..<count { largest = max(largest, abs(a[index] - b[index])) }
      return largest
    }
    vector[0] = Tensor.isGranted ? 1 : 0
    let (rows, inputs, outputs) = (5, 12, 40)
    let (x, matrix, bias) = (numbers(rows * inputs), numbers(inputs * outputs), numbers(outputs))
    let (a, b) = (numbers(rows * outputs), numbers(rows * outputs))
    let kinds: [Weights] = [.f32, .bf16, .i8]
    for index in 0..<3 {
      let layer = Linear(packing: matrix, weights: kinds[index], inputs: inputs, outputs: outputs, bias: bias)
      layer.apply(x, rows: rows, activation: .gelu, into: a)
      TensorFallback.linear(layer, x, rows, .gelu, b)
      vector[1 + index] = difference(a, b, rows * outputs)
    }
    let left = Matrices(x, stride: inputs, step: 4)
    let right = Matrices(matrix, stride: inputs, step: 4)
    Matrices.multiply(
      left, right, transposed: true, count: 3, rows: rows, inner: 4, columns: 6, scale: 0.5,
      into: Matrices(a, stride: 6, step: 30))
    TensorFallback.multiply(left, right, true, 3, rows, 4, 6, 0.5, Matrices(b, stride: 6, step: 30))
    vector[4] = difference(a, b, 90)
    b.update(from: a, count: 90)
    Tensor.softmax(a, rows: 5, width: 18)
    for row in 0..<5 { TensorFallback.softmax(b + row * 18, 18) }
    vector[5] = difference(a, b, 90)
    Tensor.layerNorm(x, rows: rows, width: inputs, gamma: bias, beta: matrix, epsilon: 1e-5, into: a)
    for row in 0..<rows {
      TensorFallback.layerNorm(x + row * inputs, inputs, bias, matrix, 1e-5, b + row * inputs)
    }
    vector[6] = difference(a, b, rows * inputs)
    Tensor.add(x, to: a, count: rows * inputs)
    for index in 0..<rows * inputs { b[index] += x[index] }
    vector[7] = difference(a, b, rows * inputs)
  }
}

typealias ModuleEmbedder = TensorCheck
