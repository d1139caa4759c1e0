// Vectors and how they are compared.

import CKernels

/// The type of a vector's elements.
public enum VectorElement: UInt8, Sendable, CaseIterable {
  case f32 = 1
  case u8 = 2
  case i8 = 3
  /// IEEE 754 binary16.
  case f16 = 4
  /// The upper half of a binary32: its range with 8 bits of precision.
  case bf16 = 5
  /// Bits, eight a byte, the first in the highest bit (as `numpy.packbits` has it). The dimension counts bits and is
  /// a multiple of 8.
  case binary = 6

  public var bitCount: Int {
    switch self {
    case .f32: 32
    case .f16, .bf16: 16
    case .u8, .i8: 8
    case .binary: 1
    }
  }

  public var name: String { "\(self)" }

  public init?(name: String) {
    guard let element = VectorElement.allCases.first(where: { $0.name == name }) else { return nil }
    self = element
  }

  /// Whether the elements are floating-point numbers.
  public var isFloat: Bool { self == .f32 || self == .f16 || self == .bf16 }

  /// Bytes of a vector.
  public func byteCount(dimension: Int) -> Int { dimension * bitCount / 8 }

  /// A dimension must be a multiple of this.
  public var dimensionStep: Int { self == .binary ? 8 : 1 }

  /// How vectors of this type may be compared; the first is the default.
  public var metrics: [Metric] { self == .binary ? [.hamming] : [.l2, .innerProduct, .cosine] }
}

/// How distance is measured; smaller is nearer for all of them.
public enum Metric: UInt8, Sendable, CaseIterable {
  /// Squared Euclidean distance.
  case l2 = 1
  /// Negated dot product.
  case innerProduct = 2
  /// 1 − cosine similarity. f32 vectors are normalised when they are put.
  case cosine = 3
  /// Bits that differ; of binary vectors, which have no other.
  case hamming = 4

  public var name: String {
    switch self {
    case .l2: "l2"
    case .innerProduct: "ip"
    case .cosine: "cosine"
    case .hamming: "hamming"
    }
  }

  public init?(name: String) {
    guard let metric = Metric.allCases.first(where: { $0.name == name }) else { return nil }
    self = metric
  }
}

/// One vector: `bytes` holds `[dimension]` elements, little-endian.
public struct Vector: Sendable, Hashable {
  public let element: VectorElement
  public let bytes: [UInt8]

  public init(element: VectorElement, bytes: [UInt8]) {
    precondition(bytes.count * 8 % element.bitCount == 0)
    self.element = element
    self.bytes = bytes
  }

  public init(_ values: [Float]) {
    self.init(element: .f32, bytes: values.withUnsafeBytes { Array($0) })
  }

  public init(_ values: [UInt8]) { self.init(element: .u8, bytes: values) }
  public init(_ values: [Int8]) { self.init(element: .i8, bytes: values.map(UInt8.init(bitPattern:))) }

  /// A binary vector of as many dimensions; there must be a multiple of 8.
  public init(bits: [Bool]) {
    precondition(bits.count % 8 == 0)
    var bytes = [UInt8](repeating: 0, count: bits.count / 8)
    for (index, bit) in bits.enumerated() where bit { bytes[index / 8] |= 0x80 >> UInt8(index % 8) }
    self.init(element: .binary, bytes: bytes)
  }

  public var dimension: Int { bytes.count * 8 / element.bitCount }

  /// The elements as floats, `[dimension]`; bits as 0 and 1.
  public var floats: [Float] {
    let dimension = dimension
    return [Float](unsafeUninitializedCapacity: dimension) { floats, count in
      bytes.withUnsafeBytes { raw in
        guard let source = raw.baseAddress, let target = floats.baseAddress else { return }
        roost_to_floats(Int32(element.rawValue), source, dimension, target)
      }
      count = dimension
    }
  }

  /// The vector in floats of another type, each element rounded to the nearest.
  /// - Returns: nil when the types are not both of numbers or the target is not of floats, and when a finite element
  ///   would become infinite.
  public func rounded(to target: VectorElement) -> Vector? {
    if target == element { return self }
    guard target.isFloat, element != .binary else { return nil }
    let values = floats
    if target == .f32 { return Vector(values) }
    var writer = ByteWriter(reserving: values.count * 2)
    for value in values {
      let half = target == .f16 ? Float16(value).bitPattern : HalfFloats.bf16(value)
      if value.isFinite && !HalfFloats.isFinite(half, target) { return nil }
      writer.u16(half)
    }
    return Vector(element: target, bytes: writer.bytes)
  }
}

/// The bits of 16-bit floats.
enum HalfFloats {
  /// The nearest bf16; of two as near, the even one.
  static func bf16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    // Rounding a NaN could make it an infinity.
    if value.isNaN { return UInt16(bits >> 16) | 0x40 }
    return UInt16(truncatingIfNeeded: (bits + 0x7fff + (bits >> 16 & 1)) >> 16)
  }

  /// Neither an infinity nor NaN.
  static func isFinite(_ half: UInt16, _ element: VectorElement) -> Bool {
    let exponent: UInt16 = element == .f16 ? 0x7c00 : 0x7f80
    return half & exponent != exponent
  }
}
