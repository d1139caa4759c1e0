// Roost guest SDK: arithmetic of small neural networks (spec/wasm-tensor.md). With the host's kernels when the
// module was granted the tensor capability, else with the module's own code: slower, the same results but for
// rounding. Matrices are row by row; strides count floats.

public enum Activation: UInt32 {
  case identity = 0
  case relu = 1
  case relu6 = 2
  case gelu = 3
  case sigmoid = 4
  case tanh = 5
}

public enum Weights: UInt32 {
  case f32 = 1
  case bf16 = 2
  case i8 = 3
}

public typealias Floats = UnsafeMutablePointer<Float>

public enum Tensor {
  /// Whether the host does the arithmetic.
  public static let isGranted = hostTensorVersion() >= 1

  /// Each row of `width` floats becomes its softmax.
  public static func softmax(_ x: Floats, rows: Int, width: Int) {
    if isGranted {
      hostSoftmax(x, Int32(rows), Int32(width))
    } else {
      for row in 0..<rows { TensorFallback.softmax(x + row * width, width) }
    }
  }

  /// `y` may be `x`.
  public static func layerNorm(
    _ x: Floats, rows: Int, width: Int, gamma: UnsafePointer<Float>, beta: UnsafePointer<Float>,
    epsilon: Float,
    into y: Floats
  ) {
    if isGranted {
      hostLayerNorm(x, Int32(rows), Int32(width), gamma, beta, epsilon, y)
    } else {
      for row in 0..<rows {
        TensorFallback.layerNorm(x + row * width, width, gamma, beta, epsilon, y + row * width)
      }
    }
  }

  /// y += x
  public static func add(_ x: UnsafePointer<Float>, to y: Floats, count: Int) {
    if isGranted { hostAdd(x, y, Int32(count)) } else { for index in 0..<count { y[index] += x[index] } }
  }
}

/// A linear layer with packed weights, as `pack` or the model converter made them.
public struct Linear {
  public let weights: Weights
  public let inputs: Int
  public let outputs: Int
  public let packed: UnsafeRawPointer
  public let bias: UnsafePointer<Float>?

  public init(
    weights: Weights, inputs: Int, outputs: Int, packed: UnsafeRawPointer, bias: UnsafePointer<Float>?
  ) {
    self.weights = weights
    self.inputs = inputs
    self.outputs = outputs
    self.packed = packed
    self.bias = bias
  }

  /// Packs `matrix`, a row of `inputs` weights for each output. Needs the tensor capability for other weights
  /// than f32; without it, they are packed as f32.
  public init(
    packing matrix: UnsafePointer<Float>, weights: Weights, inputs: Int, outputs: Int,
    bias: UnsafePointer<Float>?
  ) {
    let kind = Tensor.isGranted ? weights : .f32
    let panels = (outputs + 31) / 32
    var size = panels * inputs * 32 * 4
    if Tensor.isGranted {
      size = Int(UInt32(bitPattern: hostPackedBytes(Int32(kind.rawValue), Int32(inputs), Int32(outputs))))
    }
    let packed = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
    if Tensor.isGranted {
      hostPack(Int32(kind.rawValue), matrix, Int32(inputs), Int32(outputs), 0, packed)
    } else {
      let to = packed.assumingMemoryBound(to: Float.self)
      to.update(repeating: 0, count: size / 4)
      for output in 0..<outputs {
        for input in 0..<inputs {
          to[(output / 32 * inputs + input) * 32 + output % 32] = matrix[output * inputs + input]
        }
      }
    }
    self.init(weights: kind, inputs: inputs, outputs: outputs, packed: packed, bias: bias)
  }

  /// y[rows × outputs] = activation(x[rows × inputs] · weights + bias)
  public func apply(_ x: UnsafePointer<Float>, rows: Int, activation: Activation = .identity, into y: Floats)
  {
    guard Tensor.isGranted else {
      return TensorFallback.linear(self, x, rows, activation, y)
    }
    let call = callWords
    call[0] = weights.rawValue
    call[1] = activation.rawValue
    call[2] = UInt32(rows)
    call[3] = UInt32(inputs)
    call[4] = UInt32(outputs)
    call[5] = address(x)
    call[6] = UInt32(inputs)
    call[7] = address(packed)
    call[8] = bias.map { address($0) } ?? 0
    call[9] = address(y)
    call[10] = UInt32(outputs)
    hostLinear(call)
  }
}

/// A stack of matrices of one shape in a larger array.
public struct Matrices {
  public var start: Floats
  /// Floats from a row to the next, and from a matrix to the next.
  public var stride: Int
  public var step: Int

  public init(_ start: Floats, stride: Int, step: Int) {
    self.start = start
    self.stride = stride
    self.step = step
  }

  /// c = scale · a · b for each of `count` matrices; a is [rows × inner], b [inner × columns], or
  /// [columns × inner] when `transposed`.
  public static func multiply(
    _ a: Matrices, _ b: Matrices, transposed: Bool, count: Int, rows: Int, inner: Int, columns: Int,
    scale: Float = 1,
    into c: Matrices
  ) {
    guard Tensor.isGranted else {
      return TensorFallback.multiply(a, b, transposed, count, rows, inner, columns, scale, c)
    }
    let call = callWords
    call[0] = UInt32(count)
    call[1] = UInt32(rows)
    call[2] = UInt32(inner)
    call[3] = UInt32(columns)
    call[4] = scale.bitPattern
    call[5] = transposed ? 1 : 0
    var at = 6
    for part in [a, b, c] {
      call[at] = address(part.start)
      call[at + 1] = UInt32(part.stride)
      call[at + 2] = UInt32(part.step)
      at += 3
    }
    hostMatmul(call)
  }
}

/// Rows of 8-bit numbers, each with a scale: 4 bytes of f32, `width` bytes, filled up to a multiple of 4.
public struct ByteTable {
  public let rows: Int
  public let width: Int
  public let start: UnsafeRawPointer

  public init(rows: Int, width: Int, start: UnsafeRawPointer) {
    self.rows = rows
    self.width = width
    self.start = start
  }

  /// Writes the rows of `ids`, each below `rows`, to y[count × width].
  public func lookUp(_ ids: UnsafePointer<UInt32>, count: Int, into y: Floats) {
    if Tensor.isGranted {
      hostLookup(start, Int32(rows), Int32(width), ids, Int32(count), y)
    } else {
      let rowBytes = 4 + (width + 3) / 4 * 4
      for index in 0..<count {
        let row = start + Int(ids[index]) * rowBytes
        let scale = row.load(as: Float.self)
        for column in 0..<width {
          y[index * width + column] = Float(row.load(fromByteOffset: 4 + column, as: Int8.self)) * scale
        }
      }
    }
  }
}

nonisolated(unsafe) let callWords = UnsafeMutablePointer<UInt32>.allocate(capacity: 20)

@inline(__always)
func address(_ pointer: UnsafeRawPointer) -> UInt32 { UInt32(UInt(bitPattern: pointer)) }

@_extern(wasm, module: "roost_tensor", name: "version") @_extern(c)
func hostTensorVersion() -> Int32

@_extern(wasm, module: "roost_tensor", name: "packed_bytes") @_extern(c)
func hostPackedBytes(_ weights: Int32, _ inputs: Int32, _ outputs: Int32) -> Int32

@_extern(wasm, module: "roost_tensor", name: "pack") @_extern(c)
func hostPack(
  _ weights: Int32, _ matrix: UnsafePointer<Float>, _ inputs: Int32, _ outputs: Int32, _ layout: Int32,
  _ packed: UnsafeMutableRawPointer)

@_extern(wasm, module: "roost_tensor", name: "linear") @_extern(c)
func hostLinear(_ call: UnsafePointer<UInt32>)

@_extern(wasm, module: "roost_tensor", name: "matmul") @_extern(c)
func hostMatmul(_ call: UnsafePointer<UInt32>)

@_extern(wasm, module: "roost_tensor", name: "layer_norm") @_extern(c)
func hostLayerNorm(
  _ x: UnsafePointer<Float>, _ rows: Int32, _ width: Int32, _ gamma: UnsafePointer<Float>,
  _ beta: UnsafePointer<Float>, _ epsilon: Float, _ y: UnsafeMutablePointer<Float>)

@_extern(wasm, module: "roost_tensor", name: "softmax") @_extern(c)
func hostSoftmax(_ x: UnsafeMutablePointer<Float>, _ rows: Int32, _ width: Int32)

@_extern(wasm, module: "roost_tensor", name: "add") @_extern(c)
func hostAdd(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int32)

@_extern(wasm, module: "roost_tensor", name: "lookup") @_extern(c)
func hostLookup(
  _ table: UnsafeRawPointer, _ rows: Int32, _ width: Int32, _ ids: UnsafePointer<UInt32>, _ count: Int32,
  _ y: UnsafeMutablePointer<Float>)
