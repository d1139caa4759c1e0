// Reads the shape of a WebAssembly binary (core specification, chapter 5): what it imports, what it
// exports and with which types, how big its functions are. It runs before the compiler, so that limits
// hold before any work is done, and instead of wasmtime's C introspection, which aborts on types that it
// does not know. It does not validate code; wasmtime does.

import Core

/// A function type in words that errors can show.
struct FunctionType: Equatable, CustomStringConvertible {
  enum ValueType: UInt8 {
    case i32 = 0x7f
    case i64 = 0x7e
    case f32 = 0x7d
    case f64 = 0x7c
    case v128 = 0x7b
    case funcref = 0x70
    case externref = 0x6f
  }

  var parameters: [ValueType]
  var results: [ValueType]

  init(_ parameters: [ValueType], _ results: [ValueType] = []) {
    self.parameters = parameters
    self.results = results
  }

  var description: String {
    func list(_ types: [ValueType]) -> String { types.map { "\($0)" }.joined(separator: ", ") }
    return "(\(list(parameters))) -> (\(list(results)))"
  }
}

/// The imports, exports and sizes of a core module.
struct ModuleBinary {
  struct Import {
    var module: String
    var name: String
    /// Nil for a table, memory, global or tag.
    var function: FunctionType?
  }

  enum Export {
    case function(FunctionType)
    case memory
    case other
  }

  private(set) var imports: [Import] = []
  private(set) var exports: [String: Export] = [:]
  private(set) var functionCount = 0
  private(set) var codeBytes = 0
  private(set) var largestFunctionBytes = 0
  private(set) var memoryCount = 0
  /// Initial size of the memory in bytes.
  private(set) var memoryBytes = 0
  /// SHA-256 of the model that the module carries, from its section `roost.model`.
  private(set) var modelDigest: [UInt8]?

  private var types: [FunctionType] = []
  /// Type index of each function, imported ones first.
  private var functions: [Int] = []

  /// Throws `.corrupted` with the byte offset when the bytes are not a core module.
  init(_ bytes: [UInt8]) throws(RoostError) {
    self.init()
    try bytes.withReader { (reader) throws(RoostError) in try read(&reader) }
  }

  private init() {}

  private mutating func read(_ reader: inout ByteReader) throws(RoostError) {
    guard reader.remaining >= 8, try reader.u32() == 0x6d73_6100 else {
      throw RoostError(.corrupted, "the bytes do not begin like a WebAssembly binary", at: "byte 0")
    }
    switch try reader.u32() {
    case 1: break
    case 0x1_000d: throw RoostError(.corrupted, "this is a component; Roost takes core modules", at: "byte 4")
    case let version: throw RoostError(.corrupted, "unknown binary version \(version)", at: "byte 4")
    }
    while !reader.isAtEnd {
      let section = try reader.u8()
      let size = try leb(&reader, "section size")
      guard size <= reader.remaining else {
        throw RoostError(
          .corrupted, "section \(section) has \(size) bytes, only \(reader.remaining) are left",
          at: "byte \(reader.offset)")
      }
      let end = reader.offset + size
      switch section {
      case 0: try readCustom(&reader, end: end)
      case 1: try readTypes(&reader)
      case 2: try readImports(&reader)
      case 3: try readFunctions(&reader)
      case 5: try readMemories(&reader)
      case 7: try readExports(&reader)
      case 10: try readCode(&reader)
      default: try reader.skip(size)
      }
      guard reader.offset == end else {
        throw RoostError(
          .corrupted, "section \(section) does not end where it says", at: "byte \(reader.offset)")
      }
    }
  }

  /// Where `ModuleBuilder` notes which model it has put into the module.
  static let modelSection = "roost.model"

  private mutating func readCustom(_ reader: inout ByteReader, end: Int) throws(RoostError) {
    let name = try name(&reader)
    guard reader.offset <= end else {
      throw RoostError(.corrupted, "the name of a section is longer than it", at: "byte \(reader.offset)")
    }
    if name == ModuleBinary.modelSection {
      guard end - reader.offset == 32, modelDigest == nil else {
        throw RoostError(
          .corrupted, "section \(name) must be there once and hold 32 bytes", at: "byte \(reader.offset)")
      }
      modelDigest = try reader.array(32)
    } else {
      try reader.skip(end - reader.offset)
    }
  }

  // WebAssembly's LEB128 may be padded with zero bits, which ByteReader.varint refuses.
  private func leb(_ reader: inout ByteReader, _ what: StaticString) throws(RoostError) -> Int {
    let start = reader.offset
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 35, by: 7) {
      let byte = try reader.u8()
      value |= UInt64(byte & 0x7f) << shift
      if byte & 0x80 == 0 {
        guard value <= UInt64(UInt32.max) else { break }
        return Int(value)
      }
    }
    throw RoostError(.corrupted, "\(what) does not fit 32 bits", at: "byte \(start)")
  }

  /// A count of things that take at least one byte each, so no loop outruns the bytes.
  private func count(_ reader: inout ByteReader, _ what: StaticString) throws(RoostError) -> Int {
    let value = try leb(&reader, what)
    guard value <= reader.remaining else {
      throw RoostError(
        .corrupted, "\(what) is \(value), more than there are bytes", at: "byte \(reader.offset)")
    }
    return value
  }

  private func name(_ reader: inout ByteReader) throws(RoostError) -> String {
    let size = try count(&reader, "name length")
    let start = reader.offset
    guard let text = String(validating: try reader.bytes(size), as: UTF8.self) else {
      throw RoostError(.corrupted, "a name is not valid UTF-8", at: "byte \(start)")
    }
    return text
  }

  private func valueTypes(_ reader: inout ByteReader) throws(RoostError) -> [FunctionType.ValueType] {
    var list: [FunctionType.ValueType] = []
    for _ in 0..<(try count(&reader, "type count")) {
      let byte = try reader.u8()
      guard let type = FunctionType.ValueType(rawValue: byte) else {
        throw RoostError(.corrupted, "unsupported value type \(byte)", at: "byte \(reader.offset - 1)")
      }
      list.append(type)
    }
    return list
  }

  private mutating func readTypes(_ reader: inout ByteReader) throws(RoostError) {
    for _ in 0..<(try count(&reader, "type count")) {
      let form = try reader.u8()
      guard form == 0x60 else {
        throw RoostError(.corrupted, "unsupported type form \(form)", at: "byte \(reader.offset - 1)")
      }
      types.append(FunctionType(try valueTypes(&reader), try valueTypes(&reader)))
    }
  }

  private func type(at index: Int, _ reader: ByteReader) throws(RoostError) -> FunctionType {
    guard index < types.count else {
      throw RoostError(.corrupted, "type \(index) of \(types.count)", at: "byte \(reader.offset)")
    }
    return types[index]
  }

  private mutating func readImports(_ reader: inout ByteReader) throws(RoostError) {
    for _ in 0..<(try count(&reader, "import count")) {
      let module = try name(&reader)
      let item = try name(&reader)
      switch try reader.u8() {
      case 0:
        let index = try leb(&reader, "type index")
        imports.append(Import(module: module, name: item, function: try type(at: index, reader)))
        functions.append(index)
      case 1:
        _ = try reader.u8()
        _ = try limits(&reader)
        imports.append(Import(module: module, name: item))
      case 2:
        _ = try limits(&reader)
        imports.append(Import(module: module, name: item))
      case 3:
        _ = try reader.u16()
        imports.append(Import(module: module, name: item))
      case 4:
        _ = try reader.u8()
        _ = try leb(&reader, "type index")
        imports.append(Import(module: module, name: item))
      case let kind:
        throw RoostError(.corrupted, "unknown import kind \(kind)", at: "byte \(reader.offset - 1)")
      }
    }
  }

  /// The minimum; flag bits beyond "has a maximum" (shared, 64-bit, page size) are refused.
  private func limits(_ reader: inout ByteReader) throws(RoostError) -> Int {
    let flags = try reader.u8()
    guard flags <= 1 else {
      throw RoostError(
        .corrupted, "shared, 64-bit and custom-page memories and tables are not supported",
        at: "byte \(reader.offset - 1)")
    }
    let minimum = try leb(&reader, "minimum size")
    if flags == 1 { _ = try leb(&reader, "maximum size") }
    return minimum
  }

  private mutating func readFunctions(_ reader: inout ByteReader) throws(RoostError) {
    functionCount = try count(&reader, "function count")
    for _ in 0..<functionCount { functions.append(try leb(&reader, "type index")) }
  }

  private mutating func readMemories(_ reader: inout ByteReader) throws(RoostError) {
    memoryCount = try count(&reader, "memory count")
    for _ in 0..<memoryCount { memoryBytes = max(memoryBytes, try limits(&reader) * 65_536) }
  }

  private mutating func readExports(_ reader: inout ByteReader) throws(RoostError) {
    for _ in 0..<(try count(&reader, "export count")) {
      let item = try name(&reader)
      let kind = try reader.u8()
      let index = try leb(&reader, "export index")
      switch kind {
      case 0:
        guard index < functions.count else {
          throw RoostError(
            .corrupted, "export '\(item)' names function \(index) of \(functions.count)",
            at: "byte \(reader.offset)")
        }
        exports[item] = .function(try type(at: functions[index], reader))
      case 2: exports[item] = .memory
      default: exports[item] = .other
      }
    }
  }

  private mutating func readCode(_ reader: inout ByteReader) throws(RoostError) {
    for _ in 0..<(try count(&reader, "body count")) {
      let size = try leb(&reader, "body size")
      largestFunctionBytes = max(largestFunctionBytes, size)
      codeBytes += size
      try reader.skip(size)
    }
  }
}
