// What a collection holds: the vectors that its records may have, and how text becomes one.

/// The embedder of a collection: a published module, the payload field that it reads, and the vector field that it
/// fills.
public struct EmbedderReference: Sendable, Equatable {
  public var module: String
  public var sourceField: String
  /// "" for the first one.
  public var vectorField: String

  public init(module: String, sourceField: String, vectorField: String = "") {
    self.module = module
    self.sourceField = sourceField
    self.vectorField = vectorField
  }
}

/// A published module that derives attributes of a record that is put, and its parameters.
public struct TransformReference: Sendable, Equatable {
  public var module: String
  public var parameters: Payload

  public init(module: String, parameters: Payload = Payload()) {
    self.module = module
    self.parameters = parameters
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
  /// One or more; the first is what is meant where no name is given.
  public var fields: [VectorField]
  public var layout: GraphLayout
  public var recall: RecallTarget
  public var embedder: EmbedderReference?
  public var indexing: AttributeIndexing
  /// Run one after the other on each record that is put, before the embedder.
  public var transforms: [TransformReference]

  public init(
    fields: [VectorField], layout: GraphLayout = .fast, recall: RecallTarget = .standard,
    embedder: EmbedderReference? = nil, indexing: AttributeIndexing = .all,
    transforms: [TransformReference] = []
  ) {
    self.fields = fields
    self.layout = layout
    self.recall = recall
    self.embedder = embedder
    self.indexing = indexing
    self.transforms = transforms
  }

  /// A collection with one unnamed vector field.
  /// - Parameter metric: nil: l2, or hamming for binary vectors.
  public init(
    dimension: Int, element: VectorElement = .f32, metric: Metric? = nil, degree: Int = 32,
    buildEffort: Int = 100, layout: GraphLayout = .fast, recall: RecallTarget = .standard,
    embedder: EmbedderReference? = nil, indexing: AttributeIndexing = .all,
    transforms: [TransformReference] = []
  ) {
    let field = VectorField(
      dimension: dimension, element: element, metric: metric, degree: degree, buildEffort: buildEffort)
    self.init(
      fields: [field], layout: layout, recall: recall, embedder: embedder, indexing: indexing,
      transforms: transforms)
  }

  // MARK: the first field

  public var dimension: Int { fields[0].dimension }
  public var element: VectorElement { fields[0].element }
  public var metric: Metric { fields[0].metric }
  public var degree: Int { fields[0].degree }
  public var buildEffort: Int { fields[0].buildEffort }

  /// The position of a field; "" is the first. Throws `.invalidArgument` for a name that no field has.
  /// - Parameter place: where the name was found.
  public func index(ofField name: String, at place: String) throws(RoostError) -> Int {
    if name.isEmpty { return 0 }
    if let index = fields.firstIndex(where: { $0.name == name }) { return index }
    let names = fields.map(\.name).filter { !$0.isEmpty }.joined(separator: ", ")
    throw RoostError(
      .invalidArgument, "the collection has no vector field '\(name.prefix(80))'", at: place,
      remedy: names.isEmpty ? "its only vector has no name" : "its vector fields are: \(names)")
  }

  public func validate() throws(RoostError) {
    func refuse(_ message: String, _ place: String) -> RoostError {
      RoostError(.invalidArgument, message, at: place)
    }
    guard (1...Limits.vectorFieldsMax).contains(fields.count) else {
      throw refuse("\(fields.count) vector fields, 1 to \(Limits.vectorFieldsMax) are allowed", "schema")
    }
    for (index, field) in fields.enumerated() {
      try field.validate()
      guard !field.name.isEmpty || index == 0 else {
        throw refuse("only the first vector field may have no name", "schema")
      }
      guard !fields[..<index].contains(where: { $0.name == field.name }) else {
        throw refuse("two vector fields have the name '\(field.name)'", "schema")
      }
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
      _ = try index(ofField: embedder.vectorField, at: "schema.embedder")
    }
    if case .fields(let fields) = indexing {
      guard fields.count <= Limits.attributePathsMax else {
        throw refuse(
          "\(fields.count) indexed fields, the limit is \(Limits.attributePathsMax)", "schema.indexing")
      }
      for field in fields { _ = try FieldPath(field) }
    }
    guard transforms.count <= Limits.transformsMax else {
      throw refuse(
        "\(transforms.count) transforms, the limit is \(Limits.transformsMax)", "schema.transforms")
    }
    for (index, transform) in transforms.enumerated() {
      try validateName(transform.module, what: "module")
      do throws(RoostError) { try transform.parameters.validate() } catch {
        throw RoostError(error.kind, error.message, at: "schema.transforms[\(index)], \(error.place)")
      }
    }
  }

  public func encode(into writer: inout ByteWriter) {
    writer.count(fields.count)
    for field in fields { field.encode(into: &writer) }
    writer.u8(layout.rawValue)
    writer.u16(UInt16(recall.thousandths))
    writer.u8(embedder == nil ? 0 : 1)
    if let embedder {
      writer.string(embedder.module)
      writer.string(embedder.sourceField)
      writer.string(embedder.vectorField)
    }
    switch indexing {
    case .all: writer.u8(0)
    case .none: writer.u8(1)
    case .fields(let fields):
      writer.u8(2)
      writer.count(fields.count)
      for field in fields { writer.string(field) }
    }
    writer.count(transforms.count)
    for transform in transforms {
      writer.string(transform.module)
      transform.parameters.encode(into: &writer)
    }
  }

  public init(from reader: inout ByteReader) throws(RoostError) {
    let count = try reader.count("vector field count", atMost: Limits.vectorFieldsMax)
    fields = []
    for _ in 0..<count { fields.append(try VectorField(from: &reader)) }
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
        sourceField: try reader.string("field name", atMost: Limits.fieldNameBytesMax),
        vectorField: try reader.string("vector field", atMost: Limits.nameBytesMax))
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
    transforms = []
    for _ in 0..<(try reader.count("transforms", atMost: Limits.transformsMax)) {
      transforms.append(
        TransformReference(
          module: try reader.string("module name", atMost: Limits.nameBytesMax),
          parameters: try Payload(from: &reader)))
    }
    try validate()
  }

  /// Refuses a vector that does not fit the first field.
  public func validate(_ vector: Vector) throws(RoostError) { try fields[0].validate(vector) }

  /// The vectors of a record in the order of the fields, nil where it has none. Throws `.invalidArgument` for a
  /// vector that does not fit, for unknown names, and when there is none at all: a record that no search could find
  /// is more likely a mistake than meant.
  public func arrange(_ vectors: RecordVectors) throws(RoostError) -> [Vector?] {
    guard !vectors.isEmpty else {
      throw RoostError(.invalidArgument, "the record has no vector", at: "vector")
    }
    var arranged = [Vector?](repeating: nil, count: fields.count)
    for entry in vectors {
      let index = try index(ofField: entry.name, at: "vectors.\(entry.name)")
      guard arranged[index] == nil else {
        throw RoostError(
          .invalidArgument, "two vectors for field '\(fields[index].name)'", at: fields[index].place,
          remedy: "without a name, a vector is that of the first field")
      }
      try fields[index].validate(entry.vector)
      arranged[index] = entry.vector
    }
    return arranged
  }
}

/// Names of collections, modules and vector fields: 1 to 64 characters of a-z, A-Z, 0-9, '-', '_' and '.', not starting
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
