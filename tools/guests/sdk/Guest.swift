// Roost guest SDK: what a module implements, and what it may call.

/// A filter module. The source also says which type it is: `typealias ModuleFilter = MyFilter`.
public protocol Filter {
  /// Reads the parameters of the query; what it throws fails the query with that message.
  init(parameters: Fields) throws(GuestError)
  /// The names of the payload fields that `passes` reads; the host then copies just these. Empty: all.
  var fields: [Bytes] { get }
  /// The vector field that `passes` reads: "*" is the one that is searched; nil is none.
  var vector: Bytes? { get }
  /// Decides about one candidate.
  func passes(_ candidate: Candidate) -> Bool
}

extension Filter {
  public var fields: [Bytes] { [] }
  public var vector: Bytes? { nil }
}

/// A scorer module. The source also says which type it is: `typealias ModuleScorer = MyScorer`.
public protocol Scorer {
  /// Reads the parameters of the query; what it throws fails the query with that message.
  init(parameters: Fields) throws(GuestError)
  /// The names of the payload fields that `score` reads; the host then copies just these. Empty: all.
  var fields: [Bytes] { get }
  /// The vector field that `score` reads: "*" is the one that is searched; nil is none.
  var vector: Bytes? { get }
  /// Told once what is searched near; empty when that is no single vector. It is valid during the call only.
  mutating func begin(query: FloatSpan)
  /// How good a candidate is, larger is better; `leaveOut` keeps it out of the hits. Called for each of the nearest
  /// candidates, nearest first. Never NaN or +infinity.
  mutating func score(_ candidate: Candidate) -> Float
}

extension Scorer {
  public var fields: [Bytes] { [] }
  public var vector: Bytes? { nil }
  public mutating func begin(query: FloatSpan) {}
  /// The score of what is not to be a hit.
  public var leaveOut: Float { -Float.infinity }
}

/// A transform module. The source also says which type it is: `typealias ModuleTransform = MyTransform`.
public protocol Transform {
  /// Reads the parameters that the collection has for it.
  init(parameters: Fields) throws(GuestError)
  /// The names of the payload fields that `transform` reads; the host then copies just these. Empty: all.
  var fields: [Bytes] { get }
  /// Says what changes in a record that is being put. What it throws refuses the record with that message.
  mutating func transform(_ record: Fields, _ changes: inout Changes) throws(GuestError)
}

extension Transform {
  public var fields: [Bytes] { [] }
}

/// A record that a search has come upon; valid during the call only.
public struct Candidate {
  /// Its payload, or those fields of it that were declared.
  public let fields: Fields
  /// To what is searched near; 0 for a filter.
  public let distance: Float
  /// Empty when none was declared; NaNs when the record has none.
  public let vector: FloatSpan

  @inline(__always) public func value(_ name: Bytes) -> FieldValue? { fields.value(name) }
  @inline(__always) public func value(_ name: StaticString) -> FieldValue? { fields.value(name) }
  @inline(__always) public func number(_ name: Bytes) -> Double? { fields.number(name) }
  @inline(__always) public func number(_ name: StaticString) -> Double? { fields.number(name) }
  @inline(__always) public func string(_ name: Bytes) -> Bytes? { fields.string(name) }
  @inline(__always) public func string(_ name: StaticString) -> Bytes? { fields.string(name) }
  @inline(__always) public func bool(_ name: StaticString) -> Bool? { fields.bool(name) }
}

/// A vector in guest memory.
public struct FloatSpan {
  public let start: UnsafePointer<Float>
  public let count: Int

  @inline(__always) public subscript(index: Int) -> Float { start[index] }
  public var isEmpty: Bool { count == 0 }
}

/// An embedder module. The source also says which type it is: `typealias ModuleEmbedder = MyEmbedder`.
public protocol Embedder {
  /// The length of the vectors, 1 to 4096.
  static var dimension: Int { get }
  init()
  /// Writes the vector of one text (UTF-8) into `vector`, which holds `dimension` zeros.
  mutating func embed(_ text: Bytes, into vector: UnsafeMutablePointer<Float>) throws(GuestError)
  /// Writes the vectors of several texts, one after the other, into zeros. An embedder for which many texts at
  /// a time are cheaper than one by one implements this one, too.
  mutating func embed(_ texts: Texts, into vectors: UnsafeMutablePointer<Float>) throws(GuestError)
}

extension Embedder {
  public mutating func embed(
    _ texts: Texts, into vectors: UnsafeMutablePointer<Float>
  ) throws(GuestError) {
    for index in 0..<texts.count { try embed(texts[index], into: vectors + index * Self.dimension) }
  }
}

/// An embedder of images, signals or other bytes. The source also says which type it is:
/// `typealias ModuleBytesEmbedder = MyEmbedder`.
public protocol BytesEmbedder {
  /// The length of the vectors, 1 to 4096.
  static var dimension: Int { get }
  init()
  /// Writes the vector of one input, up to 16 MiB, into `vector`, which holds `dimension` zeros.
  mutating func embed(_ bytes: Bytes, into vector: UnsafeMutablePointer<Float>) throws(GuestError)
}

/// The texts of one call.
public struct Texts {
  let input: UnsafeRawPointer
  public let count: Int

  @inline(__always)
  public subscript(index: Int) -> Bytes { batchItem(input, index) }
}

/// Why a guest gives up.
public struct GuestError: Error {
  public let message: Bytes
  public init(_ message: StaticString) { self.message = Bytes(message) }

  /// A message that names something that is only known at run time: `before`, the name (its first 64 bytes),
  /// `after`. The text stays in memory for as long as the instance lives.
  public init(_ before: StaticString, _ name: Bytes, _ after: StaticString = "") {
    let parts = (Bytes(before), Bytes(start: name.start, count: min(name.count, 64)), Bytes(after))
    let text = UnsafeMutableRawPointer.allocate(
      byteCount: parts.0.count + parts.1.count + parts.2.count, alignment: 1)
    var count = 0
    for part in [parts.0, parts.1, parts.2] {
      (text + count).copyMemory(from: part.start, byteCount: part.count)
      count += part.count
    }
    message = Bytes(start: UnsafeRawPointer(text), count: count)
  }
}

public enum LogLevel: Int32 {
  case debug = 0
  case info = 1
  case warning = 2
  case error = 3
}

/// Writes a line to the node's log.
public func log(_ level: LogLevel, _ line: StaticString) {
  hostLog(level.rawValue, line.utf8Start, Int32(line.utf8CodeUnitCount))
}

/// Microseconds since 1970-01-01T00:00:00Z, the same throughout a query. Needs the capability `clock`.
public func now() -> Int64 { hostClock() }

/// A random number that depends on the key and the query's parameters alone. Needs the capability `random`.
public func random(_ key: Int64) -> UInt64 { UInt64(bitPattern: hostRandom(key)) }

/// A value that was published with the module; nil when there is none. It stays until the next call of `state`.
/// Needs the capability `kv`.
public func state(_ key: Bytes) -> FieldValue? {
  var size = hostState(key.start, Int32(key.count), stateBuffer.start, Int32(stateBuffer.count))
  guard size >= 0 else { return nil }
  if Int(size) > stateBuffer.count {
    stateBuffer.start.deallocate()
    let start = UnsafeMutablePointer<UInt8>.allocate(capacity: Int(size))
    stateBuffer = (start, Int(size))
    size = hostState(key.start, Int32(key.count), start, size)
  }
  var cursor = Cursor(at: stateBuffer.start)
  return cursor.value()
}

public func state(_ key: StaticString) -> FieldValue? { state(Bytes(key)) }

nonisolated(unsafe) private var stateBuffer = (
  start: UnsafeMutablePointer<UInt8>.allocate(capacity: 256), count: 256
)

@_extern(wasm, module: "roost", name: "clock") @_extern(c)
func hostClock() -> Int64
@_extern(wasm, module: "roost", name: "random") @_extern(c)
func hostRandom(_ key: Int64) -> Int64
@_extern(wasm, module: "roost", name: "kv_get") @_extern(c)
func hostState(
  _ key: UnsafeRawPointer, _ size: Int32, _ target: UnsafeMutablePointer<UInt8>, _ capacity: Int32
) -> Int32
@_extern(wasm, module: "roost", name: "log") @_extern(c)
func hostLog(_ level: Int32, _ line: UnsafePointer<UInt8>, _ size: Int32)

@_extern(c, "roost_fail_text")
func failText(_ text: UnsafePointer<UInt8>, _ size: UInt32) -> Int32

extension GuestError {
  /// Leaves the message where the host finds it; returns the status to fail with.
  var status: Int32 { failText(message.start.assumingMemoryBound(to: UInt8.self), UInt32(message.count)) }
}

/// The i-th item of a batch (spec/wasm-abi.md, "Batches").
@inline(__always)
func batchItem(_ input: UnsafeRawPointer, _ index: Int) -> Bytes {
  let start = Int(input.load(fromByteOffset: index * 4, as: UInt32.self))
  let end = Int(input.load(fromByteOffset: index * 4 + 4, as: UInt32.self))
  return Bytes(start: input + start, count: end - start)
}
