// An ONNX file (github.com/onnx/onnx, onnx.proto): its graph as it stands in the file, read in place.

/// The types of elements that have a meaning here, by their ONNX numbers.
enum ElementType: Int {
  case float = 1
  case uint8 = 2
  case int8 = 3
  case int32 = 6
  case int64 = 7
  case bool = 9
  case float16 = 10
  case double = 11
  case bfloat16 = 16

  var byteCount: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .float16, .bfloat16: 2
    case .float, .int32: 4
    case .int64, .double: 8
    }
  }

  var isFloat: Bool {
    switch self {
    case .float, .float16, .bfloat16, .double: true
    default: false
    }
  }
}

/// What a node carries besides its inputs.
struct Attribute {
  let name: Bytes
  var float: Float = 0
  var int: Int64 = 0
  var string: Bytes?
  var tensor: Constant?
  var floats: [Float] = []
  var ints: [Int64] = []
}

final class Node {
  var type = Bytes("")
  var domain = Bytes("")
  var inputNames: [Bytes] = []
  var outputNames: [Bytes] = []
  var attributes: [Attribute] = []

  func attribute(_ name: StaticString) -> Attribute? {
    for attribute in attributes where attribute.name.equals(name) { return attribute }
    return nil
  }
}

/// A graph's input: its sizes, nil where the file leaves one open.
struct OnnxInput {
  let name: Bytes
  let type: ElementType
  let shape: [Int?]
}

struct OnnxFile {
  /// So that no sum or product of sizes overflows 32 bits.
  static let elementsMax = 1 << 27
  static let ranksMax = 8

  private(set) var nodes: [Node] = []
  private(set) var constants: [(name: Bytes, constant: Constant)] = []
  private(set) var inputs: [OnnxInput] = []
  private(set) var outputs: [Bytes] = []
  private(set) var metadata: [(key: Bytes, value: Bytes)] = []
  /// The version of the operators of the default domain.
  private(set) var operators = 0

  init(_ bytes: Bytes) throws(GuestError) {
    var reader = ProtobufReader(bytes)
    var graph: Bytes?
    while let field = try reader.next() {
      switch field.number {
      case 7: graph = try field.message()
      case 8:
        let (domain, version) = try Self.operatorSet(try field.message())
        if domain.count == 0 || domain.equals("ai.onnx") { operators = version }
      case 14: metadata.append(try Self.entry(try field.message()))
      default: break
      }
    }
    guard let graph else { throw GuestError("the model is not an ONNX file: it has no graph") }
    guard (7...24).contains(operators) else {
      throw GuestError("the ONNX file is of a version other than operator sets 7 to 24")
    }
    try read(graph: graph)
  }

  func value(of key: StaticString) -> Bytes? {
    for entry in metadata where entry.key.equals(key) { return entry.value }
    return nil
  }

  private mutating func read(graph: Bytes) throws(GuestError) {
    var reader = ProtobufReader(graph)
    while let field = try reader.next() {
      switch field.number {
      case 1: nodes.append(try Self.node(try field.message()))
      case 5:
        let (name, constant) = try Self.tensor(try field.message())
        constants.append((name, constant))
      case 11: inputs.append(try Self.input(try field.message()))
      case 12:
        var part = ProtobufReader(try field.message())
        while let field = try part.next() { if field.number == 1 { outputs.append(try field.message()) } }
      case 15: throw GuestError("the ONNX file has sparse initializers, which are not supported")
      default: break
      }
    }
  }

  private static func operatorSet(_ bytes: Bytes) throws(GuestError) -> (Bytes, Int) {
    var reader = ProtobufReader(bytes)
    var (domain, version) = (Bytes(""), 0)
    while let field = try reader.next() {
      if field.number == 1 { domain = try field.message() }
      if field.number == 2 { version = Int(clamping: field.signed) }
    }
    return (domain, version)
  }

  private static func entry(_ bytes: Bytes) throws(GuestError) -> (Bytes, Bytes) {
    var reader = ProtobufReader(bytes)
    var (key, value) = (Bytes(""), Bytes(""))
    while let field = try reader.next() {
      if field.number == 1 { key = try field.message() }
      if field.number == 2 { value = try field.message() }
    }
    return (key, value)
  }

  private static func node(_ bytes: Bytes) throws(GuestError) -> Node {
    var reader = ProtobufReader(bytes)
    let node = Node()
    while let field = try reader.next() {
      switch field.number {
      case 1: node.inputNames.append(try field.message())
      case 2: node.outputNames.append(try field.message())
      case 4: node.type = try field.message()
      case 5: node.attributes.append(try attribute(try field.message()))
      case 7: node.domain = try field.message()
      default: break
      }
    }
    return node
  }

  private static func attribute(_ bytes: Bytes) throws(GuestError) -> Attribute {
    var reader = ProtobufReader(bytes)
    var name = Bytes("")
    var (float, int): (Float, Int64) = (0, 0)
    var (string, tensor): (Bytes?, Constant?) = (nil, nil)
    var (floats, ints): ([Float], [Int64]) = ([], [])
    while let field = try reader.next() {
      switch field.number {
      case 1: name = try field.message()
      case 2: float = field.float
      case 3: int = field.signed
      case 4: string = try field.message()
      case 5: tensor = try Self.tensor(try field.message()).1
      case 6: throw GuestError("the attribute '", name, "' is a graph; control flow is not supported")
      case 7: try field.append(to: &floats)
      case 8: try field.append(to: &ints)
      default: break
      }
    }
    return Attribute(
      name: name, float: float, int: int, string: string, tensor: tensor, floats: floats, ints: ints)
  }

  private static func input(_ bytes: Bytes) throws(GuestError) -> OnnxInput {
    var reader = ProtobufReader(bytes)
    var (name, type): (Bytes, Bytes?) = (Bytes(""), nil)
    while let field = try reader.next() {
      if field.number == 1 { name = try field.message() }
      if field.number == 2 { type = try field.message() }
    }
    guard let type else { throw GuestError("the input '", name, "' has no type") }
    reader = ProtobufReader(type)
    while let field = try reader.next() {
      guard field.number == 1 else { continue }
      var tensor = ProtobufReader(try field.message())
      var (element, shape): (Int, [Int?]) = (0, [])
      while let field = try tensor.next() {
        if field.number == 1 { element = Int(clamping: field.signed) }
        if field.number == 2 { shape = try sizes(try field.message()) }
      }
      guard let element = ElementType(rawValue: element) else {
        throw GuestError("the input '", name, "' has elements of a type that is not supported")
      }
      return OnnxInput(name: name, type: element, shape: shape)
    }
    throw GuestError("the input '", name, "' is not a tensor")
  }

  private static func sizes(_ bytes: Bytes) throws(GuestError) -> [Int?] {
    var reader = ProtobufReader(bytes)
    var sizes: [Int?] = []
    while let field = try reader.next() {
      guard field.number == 1 else { continue }
      var dimension = ProtobufReader(try field.message())
      var size: Int?
      while let field = try dimension.next() {
        if field.number == 1, field.content == nil, field.signed > 0 { size = Int(clamping: field.signed) }
      }
      sizes.append(size)
    }
    return sizes
  }

  /// A TensorProto: its name and its content.
  static func tensor(_ bytes: Bytes) throws(GuestError) -> (Bytes, Constant) {
    var reader = ProtobufReader(bytes)
    var name = Bytes("")
    var (dimensions, integers): ([Int64], [Int64]) = ([], [])
    var floats: [Float] = []
    var (number, raw): (Int, Bytes?) = (0, nil)
    while let field = try reader.next() {
      switch field.number {
      case 1: try field.append(to: &dimensions)
      case 2: number = Int(clamping: field.signed)
      case 4: try field.append(to: &floats)
      case 5, 7: try field.append(to: &integers)
      case 8: name = try field.message()
      case 9: raw = try field.message()
      case 13: throw GuestError("the tensor '", name, "' is kept in another file, which is not supported")
      default: break
      }
    }
    guard let type = ElementType(rawValue: number) else {
      throw GuestError("the tensor '", name, "' has elements of a type that is not supported")
    }
    var (shape, count): ([Int], Int) = ([], 1)
    guard dimensions.count <= ranksMax else {
      throw GuestError("the tensor '", name, "' has too many dimensions")
    }
    for size in dimensions {
      guard size >= 0, size <= Int64(elementsMax), Int64(count) &* size <= Int64(elementsMax) else {
        throw GuestError("the tensor '", name, "' is too large")
      }
      shape.append(Int(size))
      count *= Int(size)
    }
    if let raw {
      guard raw.count == count * type.byteCount else {
        throw GuestError("the tensor '", name, "' has another number of bytes than its shape says")
      }
      return (name, Constant(type: type, shape: shape, start: raw.start))
    }
    if type == .float, floats.count == count { return (name, Constant(shape: shape, floats: floats)) }
    if !type.isFloat, integers.count == count { return (name, Constant(shape: shape, ints: integers)) }
    // Half numbers that are not raw come as the bits of integers.
    if type == .float16, integers.count == count {
      let memory = OwnedMemory(byteCount: count * 2)
      let values = memory.start.assumingMemoryBound(to: UInt16.self)
      for index in 0..<count { values[index] = UInt16(truncatingIfNeeded: integers[index]) }
      return (name, Constant(type: type, shape: shape, start: UnsafeRawPointer(values), memory: memory))
    }
    throw GuestError("the tensor '", name, "' has another number of elements than its shape says")
  }
}
