// A tensor that is known before any input is: an initializer, read where it stands in the file, or a result of
// such.

/// Memory that goes away with the last constant that lies in it.
final class OwnedMemory {
  let start: UnsafeMutableRawPointer

  init(byteCount: Int) { start = .allocate(byteCount: max(4, byteCount), alignment: 16) }

  deinit { start.deallocate() }
}

final class Constant {
  let type: ElementType
  /// Whether it counts as floats; a cast changes this, not the bytes.
  let isFloat: Bool
  let shape: [Int]
  let count: Int
  private let start: UnsafeRawPointer
  /// Where the elements lie, unless that is the file.
  private let memory: OwnedMemory?
  private var alignedFloats: OwnedMemory?
  private var alignedInts: OwnedMemory?

  /// `start` holds the elements, little-endian, at any alignment; it stays, or belongs to `memory`.
  init(
    type: ElementType, shape: [Int], start: UnsafeRawPointer, memory: OwnedMemory? = nil, isFloat: Bool? = nil
  ) {
    self.memory = memory
    self.type = type
    self.isFloat = isFloat ?? type.isFloat
    self.shape = shape
    self.start = start
    count = elementCount(shape)
  }

  convenience init(shape: [Int], floats: [Float]) {
    let memory = OwnedMemory(byteCount: floats.count * 4)
    let values = memory.start.assumingMemoryBound(to: Float.self)
    for index in 0..<floats.count { values[index] = floats[index] }
    self.init(type: .float, shape: shape, start: UnsafeRawPointer(values), memory: memory)
  }

  convenience init(shape: [Int], ints: [Int64]) {
    let memory = OwnedMemory(byteCount: ints.count * 4)
    let values = memory.start.assumingMemoryBound(to: Int32.self)
    for index in 0..<ints.count { values[index] = Int32(clamping: ints[index]) }
    self.init(type: .int32, shape: shape, start: UnsafeRawPointer(values), memory: memory)
  }

  /// The same elements as another shape, or counted as floats or integers.
  func viewed(shape: [Int], isFloat: Bool) -> Constant? {
    // Only a cast of the bytes' own kind is free; integers made of floats are new numbers.
    guard type.isFloat == isFloat || isFloat else { return nil }
    return Constant(type: type, shape: shape, start: start, memory: memory, isFloat: isFloat)
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

  /// The elements as f32 in aligned memory, which lives as long as this constant.
  var floats: UnsafePointer<Float> {
    if type == .float, UInt(bitPattern: start) % 4 == 0 { return start.assumingMemoryBound(to: Float.self) }
    let copy = alignedFloats ?? OwnedMemory(byteCount: count * 4)
    let floats = copy.start.assumingMemoryBound(to: Float.self)
    if alignedFloats == nil { copyFloats(to: floats) }
    alignedFloats = copy
    return UnsafePointer(floats)
  }

  /// The elements as 32-bit integers in aligned memory, which lives as long as this constant.
  var int32s: UnsafePointer<Int32> {
    let copy = alignedInts ?? OwnedMemory(byteCount: count * 4)
    let ints = copy.start.assumingMemoryBound(to: Int32.self)
    if alignedInts == nil { for index in 0..<count { ints[index] = Int32(int(index)) } }
    alignedInts = copy
    return UnsafePointer(ints)
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
