// Records, ids and vectors as JSON: one line of a .jsonl file, and what the tools print.

extension RecordID {
  /// A number or text; so the key "17" and the number 17 stay apart.
  public var json: JSON {
    switch self {
    case .number(let number): JSON(number)
    case .key(let key): .string(key)
    }
  }

  public init(json: JSON, at place: String) throws(RoostError) {
    switch json {
    case .number(let digits):
      guard let number = UInt64(digits) else {
        throw RoostError(
          .invalidArgument, "\(digits) is no id", at: place,
          remedy: "an id is a whole number from 0 to 2^64 - 1, or text")
      }
      self = .number(number)
    case .string(let key):
      self = .key(key)
      try validate()
    default:
      throw RoostError(.invalidArgument, "expected a number or text as id, found \(json.kind)", at: place)
    }
  }
}

extension Vector {
  /// `[dimension]` numbers; floats with as few digits as read back exactly, bits as 0 and 1.
  public var json: JSON {
    switch element {
    case .f32, .f16, .bf16: .array(floats.map { JSON($0) })
    case .binary: .array(floats.map { JSON(Int($0)) })
    case .u8: .array(bytes.map { JSON(Int($0)) })
    case .i8: .array(bytes.map { JSON(Int(Int8(bitPattern: $0))) })
    }
  }

  /// Throws `.invalidArgument` for what is not an array of numbers that fit `element`.
  public init(json: JSON, element: VectorElement, at place: String) throws(RoostError) {
    guard case .array(let numbers) = json else {
      throw RoostError(.invalidArgument, "expected an array of numbers, found \(json.kind)", at: place)
    }
    var writer = ByteWriter(reserving: numbers.count * 4)
    var bits: [Bool] = []
    for (index, number) in numbers.enumerated() {
      guard case .number(let digits) = number else {
        throw RoostError(
          .invalidArgument, "expected a number, found \(number.kind)", at: "\(place)[\(index)]")
      }
      switch element {
      case .f32, .f16, .bf16:
        guard let value = Float(digits), value.isFinite, let rounded = Vector([value]).rounded(to: element)
        else { throw Vector.misfit(digits, element, at: "\(place)[\(index)]") }
        writer.raw(rounded.bytes)
      case .binary:
        guard let value = Double(digits), value == 0 || value == 1 else {
          throw Vector.misfit(digits, element, at: "\(place)[\(index)]")
        }
        bits.append(value == 1)
      case .u8:
        guard let value = Double(digits).flatMap({ UInt8(exactly: $0) }) else {
          throw Vector.misfit(digits, element, at: "\(place)[\(index)]")
        }
        writer.u8(value)
      case .i8:
        guard let value = Double(digits).flatMap({ Int8(exactly: $0) }) else {
          throw Vector.misfit(digits, element, at: "\(place)[\(index)]")
        }
        writer.u8(UInt8(bitPattern: value))
      }
    }
    guard element == .binary else {
      self.init(element: element, bytes: writer.bytes)
      return
    }
    guard bits.count % 8 == 0 else {
      throw RoostError(.invalidArgument, "\(bits.count) bits are not a multiple of 8", at: place)
    }
    self.init(bits: bits)
  }

  private static func misfit(_ digits: String, _ element: VectorElement, at place: String) -> RoostError {
    RoostError(.invalidArgument, "\(digits) does not fit \(element.name)", at: place)
  }
}

extension RecordVectors {
  /// The vector of the unnamed field, and those of named ones as an object: nil where there is none.
  public var json: (vector: JSON?, vectors: JSON?) {
    let named = filter { !$0.name.isEmpty }.map { JSON.Member($0.name, $0.vector.json) }
    return (self[""]?.json, named.isEmpty ? nil : .object(named))
  }

  /// Reads the object of vectors by name.
  fileprivate mutating func add(json: JSON, schema: CollectionSchema, at place: String) throws(RoostError) {
    guard case .object(let members) = json else {
      throw RoostError(
        .invalidArgument, "expected an object of vectors by name, found \(json.kind)", at: place)
    }
    for member in members where member.value != .null {
      let place = "\(place).\(member.name)"
      let field = schema.fields[try schema.index(ofField: member.name, at: place)]
      guard self[member.name] == nil else {
        throw RoostError(.invalidArgument, "two vectors for one field", at: place)
      }
      self[member.name] = try Vector(json: member.value, element: field.element, at: place)
    }
  }
}

extension PutRecord {
  /// Reads `{"id": …, "vector": […], "vectors": {"name": […]}, "payload": {…}, "source": …}`. Each may be missing: the
  /// id then comes from `fallbackID`. `vector` is that of the first field, `source` text or bytes for the embedder.
  /// Throws `.invalidArgument`, also for any other member: it is more likely a mistake than meant.
  public init(
    json: JSON, schema: CollectionSchema, fallbackID: RecordID? = nil, at place: String = "record"
  ) throws(RoostError) {
    guard case .object(let members) = json else {
      throw RoostError(.invalidArgument, "expected an object, found \(json.kind)", at: place)
    }
    var id = fallbackID
    var vectors = RecordVectors()
    var payload = Payload()
    var source: EmbedderInput?
    for member in members {
      switch member.name {
      case "id": id = try RecordID(json: member.value, at: "\(place).id")
      case "vector":
        if member.value == .null { continue }
        let vector = try Vector(json: member.value, element: schema.element, at: "\(place).vector")
        guard vectors[""] == nil else {
          throw RoostError(.invalidArgument, "two vectors for one field", at: "\(place).vector")
        }
        vectors[""] = vector
      case "vectors":
        if member.value == .null { continue }
        try vectors.add(json: member.value, schema: schema, at: "\(place).vectors")
      case "payload": payload = try Payload(json: member.value, at: "\(place).payload")
      case "source":
        if member.value == .null { continue }
        let value = try Value(json: member.value, at: "\(place).source")
        guard let input = EmbedderInput(value) else {
          throw RoostError(
            .invalidArgument, "expected text or {\"$bytes\": …}, found \(member.value.kind)",
            at: "\(place).source")
        }
        source = input
      default:
        throw RoostError(
          .invalidArgument, "unknown member '\(member.name)'", at: place,
          remedy: "a record is {\"id\": …, \"vector\": […], \"payload\": {…}}; attributes belong into payload"
        )
      }
    }
    guard let id else { throw RoostError(.invalidArgument, "the record has no id", at: place) }
    self.init(id: id, vectors: vectors, payload: payload, source: source)
  }

  public var json: JSON {
    let vectors = vectors.json
    return .object([
      "id": id.json, "vector": vectors.vector, "vectors": vectors.vectors, "payload": payload.json,
      "source": source.map { source in
        switch source {
        case .text(let text): Value.string(text).json
        case .bytes(let bytes): Value.bytes(bytes).json
        }
      },
    ])
  }
}
