// Vectors and how they are compared.

/// The type of a vector's elements.
public enum VectorElement: UInt8, Sendable, CaseIterable {
  case f32 = 1
  case u8 = 2
  case i8 = 3

  public var byteCount: Int { self == .f32 ? 4 : 1 }
  public var name: String { "\(self)" }
}

/// How distance is measured; smaller is nearer for all of them.
public enum Metric: UInt8, Sendable, CaseIterable {
  /// Squared Euclidean distance.
  case l2 = 1
  /// Negated dot product.
  case innerProduct = 2
  /// 1 − cosine similarity. f32 vectors are normalised when they are put.
  case cosine = 3

  public var name: String {
    switch self {
    case .l2: "l2"
    case .innerProduct: "ip"
    case .cosine: "cosine"
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
    precondition(bytes.count % element.byteCount == 0)
    self.element = element
    self.bytes = bytes
  }

  public init(_ values: [Float]) {
    self.init(element: .f32, bytes: values.withUnsafeBytes { Array($0) })
  }

  public init(_ values: [UInt8]) { self.init(element: .u8, bytes: values) }
  public init(_ values: [Int8]) { self.init(element: .i8, bytes: values.map(UInt8.init(bitPattern:))) }

  public var dimension: Int { bytes.count / element.byteCount }

  /// The elements as floats, `[dimension]`.
  public var floats: [Float] {
    switch element {
    case .f32:
      bytes.withUnsafeBytes { raw in
        (0..<dimension).map { raw.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
      }
    case .u8: bytes.map { Float($0) }
    case .i8: bytes.map { Float(Int8(bitPattern: $0)) }
    }
  }
}
