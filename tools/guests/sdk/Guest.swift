// Roost guest SDK: what a module implements, and what it may call.

/// A filter module. The source also says which type it is: `typealias ModuleFilter = MyFilter`.
public protocol Filter {
  /// Reads the parameters of the query; what it throws fails the query with that message.
  init(parameters: Fields) throws(GuestError)
  /// The names of the payload fields that `passes` reads; the host then copies just these. Empty: all.
  var fields: [Bytes] { get }
  /// Decides about one candidate.
  func passes(_ candidate: Fields) -> Bool
}

extension Filter {
  public var fields: [Bytes] { [] }
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
