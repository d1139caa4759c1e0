// What a collection holds: the shape of its vectors and how text becomes one.

/// The embedder of a collection: a published module and the payload field that it reads.
public struct EmbedderReference: Sendable, Equatable {
  public var module: String
  public var sourceField: String

  public init(module: String, sourceField: String) {
    self.module = module
    self.sourceField = sourceField
  }
}

/// Which payload fields are indexed, so that filters on them need not read payloads.
public enum AttributeIndexing: Sendable, Equatable {
  /// Every path that holds a value, up to `Limits.attributePathsMax` a segment.
  case all
  case none
  /// These paths (`FieldPath.text`).
  case fields([String])
}

/// The definition of a collection; fixed when it is created.
public struct CollectionSchema: Sendable, Equatable {
  public var dimension: Int
  public var element: VectorElement
  public var metric: Metric
  /// Neighbours per graph node, a multiple of 32.
  public var degree: Int
  /// Candidates kept while a node is linked into the graph.
  public var buildEffort: Int
  public var layout: GraphLayout
  public var recall: RecallTarget
  public var embedder: EmbedderReference?
  public var indexing: AttributeIndexing

  /// - Parameter metric: nil: l2, or hamming for binary vectors.
  public init(
    dimension: Int, element: VectorElement = .f32, metric: Metric? = nil, degree: Int = 32,
    buildEffort: Int = 100, layout: GraphLayout = .fast, recall: RecallTarget = .standard,
    embedder: EmbedderReference? = nil, indexing: AttributeIndexing = .all
  ) {
    self.dimension = dimension
    self.element = element
    self.metric = metric ?? element.metrics[0]
    self.degree = degree
    self.buildEffort = buildEffort
    self.layout = layout
    self.recall = recall
    self.embedder = embedder
    self.indexing = indexing
  }

  public func validate() throws(RoostError) {
    func refuse(_ message: String, _ place: String) -> RoostError {
      RoostError(.invalidArgument, message, at: place)
    }
    guard (1...Limits.dimensionMax).contains(dimension) else {
      throw refuse("dimension \(dimension) is outside 1...\(Limits.dimensionMax)", "schema.dimension")
    }
    guard dimension % element.dimensionStep == 0 else {
      throw refuse(
        "dimension \(dimension) of \(element.name) vectors is not a multiple of \(element.dimensionStep)",
        "schema.dimension")
    }
    guard element.metrics.contains(metric) else {
      let allowed = element.metrics.map(\.name).joined(separator: ", ")
      throw refuse(
        "\(element.name) vectors have no metric \(metric.name), only \(allowed)", "schema.metric")
    }
    guard [32, 64].contains(degree) else { throw refuse("degree \(degree) is not 32 or 64", "schema.degree") }
    guard (16...1000).contains(buildEffort) else {
      throw refuse("build effort \(buildEffort) is outside 16...1000", "schema.buildEffort")
    }
    guard recall.isPossible else {
      throw refuse("recall \(recall.share) is outside 0.5...0.999", "schema.recall")
    }
    if let embedder {
      try validateName(embedder.module, what: "module")
      guard !embedder.sourceField.isEmpty, embedder.sourceField.utf8.count <= Limits.fieldNameBytesMax else {
        throw refuse(
          "the embedder's source field must have 1 to \(Limits.fieldNameBytesMax) bytes", "schema.embedder")
      }
    }
    if case .fields(let fields) = indexing {
      guard fields.count <= Limits.attributePathsMax else {
        throw refuse(
          "\(fields.count) indexed fields, the limit is \(Limits.attributePathsMax)", "schema.indexing")
      }
      for field in fields { _ = try FieldPath(field) }
    }
  }

  public func encode(into writer: inout ByteWriter) {
    writer.u32(UInt32(dimension))
    writer.u8(element.rawValue)
    writer.u8(metric.rawValue)
    writer.u16(UInt16(degree))
    writer.u16(UInt16(buildEffort))
    writer.u8(layout.rawValue)
    writer.u16(UInt16(recall.thousandths))
    writer.u8(embedder == nil ? 0 : 1)
    if let embedder {
      writer.string(embedder.module)
      writer.string(embedder.sourceField)
    }
    switch indexing {
    case .all: writer.u8(0)
    case .none: writer.u8(1)
    case .fields(let fields):
      writer.u8(2)
      writer.count(fields.count)
      for field in fields { writer.string(field) }
    }
  }

  public init(from reader: inout ByteReader) throws(RoostError) {
    dimension = Int(try reader.u32())
    let start = reader.offset
    guard let element = VectorElement(rawValue: try reader.u8()),
      let metric = Metric(rawValue: try reader.u8())
    else { throw RoostError(.corrupted, "unknown vector element or metric", at: "byte \(start)") }
    self.element = element
    self.metric = metric
    degree = Int(try reader.u16())
    buildEffort = Int(try reader.u16())
    let layoutStart = reader.offset
    guard let layout = GraphLayout(rawValue: try reader.u8()) else {
      throw RoostError(.corrupted, "unknown graph layout", at: "byte \(layoutStart)")
    }
    self.layout = layout
    recall = RecallTarget(thousandths: Int(try reader.u16()))
    switch try reader.u8() {
    case 0: embedder = nil
    case 1:
      embedder = EmbedderReference(
        module: try reader.string("module name", atMost: Limits.nameBytesMax),
        sourceField: try reader.string("field name", atMost: Limits.fieldNameBytesMax))
    case let flag: throw RoostError(.corrupted, "embedder flag is \(flag)", at: "byte \(reader.offset)")
    }
    switch try reader.u8() {
    case 0: indexing = .all
    case 1: indexing = .none
    case 2:
      var fields: [String] = []
      for _ in 0..<(try reader.count("indexed fields", atMost: Limits.attributePathsMax)) {
        fields.append(try reader.string("field path", atMost: FieldPath.textBytesMax))
      }
      indexing = .fields(fields)
    case let tag: throw RoostError(.corrupted, "unknown indexing \(tag)", at: "byte \(reader.offset)")
    }
    try validate()
  }

  /// Refuses a vector that does not fit: element type, dimension, NaN or infinity, and for cosine the
  /// zero vector, which has no direction. f32 fits f16 and bf16 when every element does.
  public func validate(_ vector: Vector) throws(RoostError) {
    func refuse(_ message: String) -> RoostError { RoostError(.invalidArgument, message, at: "vector") }
    guard vector.element == element || vector.element == .f32 && element.isFloat else {
      throw refuse("vector of \(vector.element.name), the collection holds \(element.name)")
    }
    guard vector.dimension == dimension else {
      throw refuse("vector of dimension \(vector.dimension), the collection has \(dimension)")
    }
    if let bad = vector.firstNotFinite { throw refuse("element \(bad) is not a finite number") }
    guard let stored = vector.rounded(to: element) else {
      throw refuse("an element is too large for \(element.name)")
    }
    if metric == .cosine && stored.isZero {
      throw refuse("the zero vector has no direction for metric cosine")
    }
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

/// Names of collections and modules: 1 to 64 characters of a-z, A-Z, 0-9, '-', '_' and '.', not starting
/// with '.'.
public func validateName(_ name: String, what: String) throws(RoostError) {
  let allowed = name.utf8.allSatisfy { byte in
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
      true
    default: false
    }
  }
  guard allowed, !name.isEmpty, name.utf8.count <= Limits.nameBytesMax, !name.hasPrefix(".") else {
    throw RoostError(
      .invalidArgument, "'\(name.prefix(80))' is not a valid \(what) name", at: what,
      remedy: "use 1 to \(Limits.nameBytesMax) of a-z A-Z 0-9 - _ . and do not start with a dot")
  }
}
