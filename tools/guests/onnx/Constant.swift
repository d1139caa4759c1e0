// A tensor that is known before any input is: an initializer, read where it stands in the file, or a result of
// such.

final class Constant {
  let type: ElementType
  /// Whether it counts as floats; a cast changes this, not the bytes.
  let isFloat: Bool
  let shape: [Int]
  let count: Int
  private let start: UnsafeRawPointer
  private var alignedFloats: UnsafePointer<Float>?
  private var alignedInts: UnsafePointer<Int32>?

  /// `start` holds the elements, little-endian, at any alignment, and stays.
  init(type: ElementType, shape: [Int], start: UnsafeRawPointer, isFloat: Bool? = nil) {
    self.type = type
    self.isFloat = isFloat ?? type.isFloat
    self.shape = shape
    self.start = start
    count = elementCount(shape)
  }

  convenience init(shape: [Int], floats: [Float]) {
    let values = UnsafeMutablePointer<Float>.allocate(capacity: max(1, floats.count))
    for index in 0..<floats.count { values[index] = floats[index] }
    self.init(type: .float, shape: shape, start: UnsafeRawPointer(values))
  }

  convenience init(shape: [Int], ints: [Int64]) {
    let values = UnsafeMutablePointer<Int32>.allocate(capacity: max(1, ints.count))
    for index in 0..<ints.count { values[index] = Int32(clamping: ints[index]) }
    self.init(type: .int32, shape: shape, start: UnsafeRawPointer(values))
  }

  /// The same elements as another shape, or counted as floats or integers.
  func viewed(shape: [Int], isFloat: Bool) -> Constant? {
    // Only a cast of the bytes' own kind is free; integers made of floats are new numbers.
    guard type.isFloat == isFloat || isFloat else { return nil }
    return Constant(type: type, shape: shape, start: start, isFloat: isFloat)
  }

  func float(_ index: Int) -> Float {
    switch type {
    case .float: start.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
    case .float16: halfAsFloat(start.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
    case .bfloat16:
      Float(bitPattern: UInt32(start.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)) << 16)
    case .double: Float(start.loadUnaligned(fromByteOffset: index * 8, as: Double.self))
    default: Float(int(index))
    }
  }

  /// Integers beyond 32 bits are the nearest that fits: they occur as "to the end" only.
  func int(_ index: Int) -> Int {
    switch type {
    case .int64: Int(Int32(clamping: start.loadUnaligned(fromByteOffset: index * 8, as: Int64.self)))
    case .int32: Int(start.loadUnaligned(fromByteOffset: index * 4, as: Int32.self))
    case .uint8: Int(start.load(fromByteOffset: index, as: UInt8.self))
    case .int8: Int(start.load(fromByteOffset: index, as: Int8.self))
    case .bool: start.load(fromByteOffset: index, as: UInt8.self) == 0 ? 0 : 1
    default: integer(float(index))
    }
  }

  var ints: [Int] { (0..<count).map { int($0) } }

  func copyFloats(to target: Floats) { copyFloats(from: 0, count: count, to: target) }

  func copyFloats(from first: Int, count: Int, to target: Floats) {
    if type == .float {
      UnsafeMutableRawPointer(target).copyMemory(from: start + first * 4, byteCount: count * 4)
    } else {
      for index in 0..<count { target[index] = float(first + index) }
    }
  }

  /// The elements as f32 in aligned memory.
  var floats: UnsafePointer<Float> {
    if let alignedFloats { return alignedFloats }
    let floats: UnsafePointer<Float>
    if type == .float, UInt(bitPattern: start) % 4 == 0 {
      floats = start.assumingMemoryBound(to: Float.self)
    } else {
      let copy = Floats.allocate(capacity: max(1, count))
      copyFloats(to: copy)
      floats = UnsafePointer(copy)
    }
    alignedFloats = floats
    return floats
  }

  /// The elements as 32-bit integers in aligned memory.
  var int32s: UnsafePointer<Int32> {
    if let alignedInts { return alignedInts }
    let copy = UnsafeMutablePointer<Int32>.allocate(capacity: max(1, count))
    for index in 0..<count { copy[index] = Int32(int(index)) }
    alignedInts = UnsafePointer(copy)
    return UnsafePointer(copy)
  }
}

func elementCount(_ shape: [Int]) -> Int {
  var count = 1
  for size in shape { count *= size }
  return count
}

/// Toward zero; what is not a number or does not fit becomes the nearest that does.
func integer(_ value: Float) -> Int {
  if value >= 2_147_483_648 { return Int(Int32.max) }
  if value <= -2_147_483_648 { return Int(Int32.min) }
  return value.isNaN ? 0 : Int(value)
}

/// IEEE 754 binary16.
func halfAsFloat(_ half: UInt16) -> Float {
  let sign = UInt32(half & 0x8000) << 16
  let (exponent, fraction) = (UInt32(half >> 10) & 31, UInt32(half & 0x3ff))
  switch exponent {
  case 0:
    let small = Float(fraction) * 5.9604645e-8  // 2^-24
    return sign == 0 ? small : -small
  case 31: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
  default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
  }
}
