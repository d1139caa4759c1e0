// One of the vectors that the records of a collection may have.

/// The definition of a vector field.
public struct VectorField: Sendable, Equatable {
  /// "" for the unnamed field, which is the first one if there is one.
  public var name: String
  public var dimension: Int
  public var element: VectorElement
  public var metric: Metric
  /// Neighbours per graph node, a multiple of 32.
  public var degree: Int
  /// Candidates kept while a node is linked into the graph.
  public var buildEffort: Int

  /// - Parameter metric: nil: l2, or hamming for binary vectors.
  public init(
    name: String = "", dimension: Int, element: VectorElement = .f32, metric: Metric? = nil, degree: Int = 32,
    buildEffort: Int = 100
  ) {
    self.name = name
    self.dimension = dimension
    self.element = element
    self.metric = metric ?? element.metrics[0]
    self.degree = degree
    self.buildEffort = buildEffort
  }

  /// Where a vector of this field is, for messages.
  public var place: String { name.isEmpty ? "vector" : "vectors.\(name)" }

  func validate() throws(RoostError) {
    func refuse(_ message: String, _ what: String) -> RoostError {
      RoostError(.invalidArgument, message, at: name.isEmpty ? "schema.\(what)" : "schema.\(name).\(what)")
    }
    if !name.isEmpty { try validateName(name, what: "vector field") }
    guard (1...Limits.dimensionMax).contains(dimension) else {
      throw refuse("dimension \(dimension) is outside 1...\(Limits.dimensionMax)", "dimension")
    }
    guard dimension % element.dimensionStep == 0 else {
      throw refuse(
        "dimension \(dimension) of \(element.name) vectors is not a multiple of \(element.dimensionStep)",
        "dimension")
    }
    guard element.metrics.contains(metric) else {
      let allowed = element.metrics.map(\.name).joined(separator: ", ")
      throw refuse("\(element.name) vectors have no metric \(metric.name), only \(allowed)", "metric")
    }
    guard [32, 64].contains(degree) else { throw refuse("degree \(degree) is not 32 or 64", "degree") }
    guard (16...1000).contains(buildEffort) else {
      throw refuse("build effort \(buildEffort) is outside 16...1000", "buildEffort")
    }
  }

  func encode(into writer: inout ByteWriter) {
    writer.string(name)
    // What is out of range goes out as something that every reader refuses.
    writer.u32(UInt32(clamping: dimension))
    writer.u8(element.rawValue)
    writer.u8(metric.rawValue)
    writer.u16(UInt16(clamping: degree))
    writer.u16(UInt16(clamping: buildEffort))
  }

  init(from reader: inout ByteReader) throws(RoostError) {
    name = try reader.string("vector field", atMost: Limits.nameBytesMax)
    dimension = Int(try reader.u32())
    let start = reader.offset
    guard let element = VectorElement(rawValue: try reader.u8()),
      let metric = Metric(rawValue: try reader.u8())
    else { throw RoostError(.corrupted, "unknown vector element or metric", at: "byte \(start)") }
    self.element = element
    self.metric = metric
    degree = Int(try reader.u16())
    buildEffort = Int(try reader.u16())
  }

  /// Refuses a vector that does not fit: element type, dimension, NaN or infinity, and for cosine the
  /// zero vector, which has no direction. f32 fits f16 and bf16 when every element does.
  public func validate(_ vector: Vector) throws(RoostError) {
    func refuse(_ message: String) -> RoostError { RoostError(.invalidArgument, message, at: place) }
    let owner = name.isEmpty ? "the collection" : "field '\(name)'"
    guard vector.element == element || vector.element == .f32 && element.isFloat else {
      throw refuse("vector of \(vector.element.name), \(owner) holds \(element.name)")
    }
    guard vector.dimension == dimension else {
      throw refuse("vector of dimension \(vector.dimension), \(owner) has \(dimension)")
    }
    if let bad = vector.firstNotFinite { throw refuse("element \(bad) is not a finite number") }
    guard let stored = vector.rounded(to: element) else {
      throw refuse("an element is too large for \(element.name)")
    }
    if metric == .cosine {
      if stored.isZero { throw refuse("the zero vector has no direction for metric cosine") }
    } else if element == .f32 || element == .bf16 {
      try checkLength(vector)
    }
  }

  /// Refuses a vector beyond `Limits.vectorLengthMax`, whose distances would overflow.
  private func checkLength(_ vector: Vector) throws(RoostError) {
    let values = vector.floats
    let largest = values.reduce(0) { max($0, abs($1)) }
    // Nearly all vectors pass here.
    guard Double(largest) * Double(dimension).squareRoot() > Limits.vectorLengthMax else { return }
    let length = values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    guard length > Limits.vectorLengthMax else { return }
    throw RoostError(
      .invalidArgument,
      "the vector has length \(Float(length)), at most \(Float(Limits.vectorLengthMax)) can be compared",
      at: place, remedy: "scale the vectors")
  }
}

extension Vector {
  /// The position of the first infinity or NaN.
  fileprivate var firstNotFinite: Int? {
    let count = dimension
    return bytes.withUnsafeBytes { raw -> Int? in
      switch element {
      case .f32:
        (0..<count).first { !raw.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self).isFinite }
      case .f16, .bf16:
        (0..<count).first {
          !HalfFloats.isFinite(raw.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self), element)
        }
      case .u8, .i8, .binary: nil
      }
    }
  }

  /// Whether all elements are 0 (or −0).
  fileprivate var isZero: Bool {
    element.isFloat ? floats.allSatisfy { $0 == 0 } : bytes.allSatisfy { $0 == 0 }
  }
}
