// Publish and list WebAssembly modules.

import Core

/// What a published module is for.
public enum ModuleKind: UInt8, Sendable, CaseIterable {
  case filter = 1
  case embedder = 2
  case scorer = 3
  case transform = 4

  public var name: String { "\(self)" }
}

package struct PublishModuleRequest: Sendable, Equatable {
  package var name: String
  package var bytes: [UInt8]

  package init(name: String, bytes: [UInt8]) {
    self.name = name
    self.bytes = bytes
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(name)
    body.bytes.blob(bytes)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    name = try body.fixed.string("module name", atMost: Limits.nameBytesMax)
    bytes = try body.fixed.blob("module", atMost: Limits.moduleBytesMax)
  }
}

/// A published module as the registry knows it.
public struct ModuleDescription: Sendable, Equatable {
  public var name: String
  public var kind: ModuleKind
  public var byteCount: UInt64
  /// SHA-256 of the bytes, 64 hexadecimal digits.
  public var sha256: String
  /// Names that the module exports.
  public var exports: [String]

  public init(name: String, kind: ModuleKind, byteCount: UInt64, sha256: String, exports: [String]) {
    self.name = name
    self.kind = kind
    self.byteCount = byteCount
    self.sha256 = sha256
    self.exports = exports
  }

  static let exportsMax = 1_024

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(name)
    body.bytes.u8(kind.rawValue)
    body.bytes.u64(byteCount)
    body.bytes.string(sha256)
    body.bytes.count(exports.count)
    for export in exports { body.bytes.string(export) }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    name = try body.fixed.string("module name", atMost: Limits.nameBytesMax)
    guard let kind = ModuleKind(rawValue: try body.fixed.u8()) else {
      throw RoostError(.corrupted, "unknown module kind", at: "byte \(body.fixed.offset - 1)")
    }
    self.kind = kind
    byteCount = try body.fixed.u64()
    sha256 = try body.fixed.string("digest", atMost: 64)
    exports = try body.list("export count", atMost: ModuleDescription.exportsMax) {
      (body) throws(RoostError) in
      try body.fixed.string("export name", atMost: Limits.fieldNameBytesMax)
    }
  }
}
