// Publish, list and inspect WebAssembly modules.

import Core

/// What a published module is for.
public enum ModuleKind: UInt8, Sendable, CaseIterable {
  case filter = 1
  case embedder = 2
  case scorer = 3
  case transform = 4

  public var name: String { "\(self)" }
}

/// An Ed25519 signature over the statement about a module (`spec/modules.md`), and the key that made it.
public struct ModuleSignature: Sendable, Hashable {
  /// 32 bytes.
  public let key: [UInt8]
  /// 64 bytes.
  public let signature: [UInt8]

  package static let keyBytes = 32
  package static let signatureBytes = 64

  package init(key: [UInt8], signature: [UInt8]) {
    precondition(key.count == ModuleSignature.keyBytes && signature.count == ModuleSignature.signatureBytes)
    self.key = key
    self.signature = signature
  }

  package func encode(into writer: inout ByteWriter) {
    writer.raw(key)
    writer.raw(signature)
  }

  package init(from reader: inout ByteReader) throws(RoostError) {
    key = try reader.array(ModuleSignature.keyBytes)
    signature = try reader.array(ModuleSignature.signatureBytes)
  }
}

/// What a new version is to be.
public enum ModulePlacement: Sendable, Equatable {
  /// The one that queries get, unless another is pinned.
  case current
  /// There, for queries that name it.
  case staged
  /// For this share of the requests, in percent, 1 to 100.
  case canary(percent: UInt8)
}

package struct PublishModuleRequest: Sendable, Equatable {
  package var name: String
  package var bytes: [UInt8]
  package var signature: ModuleSignature?
  package var placement: ModulePlacement

  package init(
    name: String, bytes: [UInt8], signature: ModuleSignature? = nil, placement: ModulePlacement = .current
  ) {
    self.name = name
    self.bytes = bytes
    self.signature = signature
    self.placement = placement
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(name)
    body.bytes.blob(bytes)
    body.bytes.u8(signature == nil ? 0 : 1)
    signature?.encode(into: &body.bytes)
    switch placement {
    case .current: body.bytes.u8(0)
    case .staged: body.bytes.u8(1)
    case .canary(let percent):
      body.bytes.u8(2)
      body.bytes.u8(percent)
    }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    name = try body.fixed.string("module name", atMost: Limits.nameBytesMax)
    bytes = try body.fixed.blob("module", atMost: Limits.moduleBytesMax)
    signature = try body.flag("signature") ? try ModuleSignature(from: &body.fixed) : nil
    switch try body.fixed.u8() {
    case 0: placement = .current
    case 1: placement = .staged
    case 2: placement = .canary(percent: try body.percent())
    case let tag:
      throw RoostError(.corrupted, "unknown placement \(tag)", at: "byte \(body.fixed.offset - 1)")
    }
  }
}

extension BodyReader {
  /// A share of the requests: 1 to 100.
  package mutating func percent() throws(RoostError) -> UInt8 {
    let value = try fixed.u8()
    guard (1...100).contains(value) else {
      throw RoostError(.corrupted, "a share of \(value)%", at: "byte \(fixed.offset - 1)")
    }
    return value
  }
}

/// One version of a module as the registry knows it.
public struct ModuleDescription: Sendable, Equatable {
  public var name: String
  /// Counts from 1 within the name.
  public var version: UInt32
  public var kind: ModuleKind
  public var byteCount: UInt64
  /// SHA-256 of the bytes, 64 hexadecimal digits.
  public var sha256: String
  /// SHA-256 of the model that the module carries, when it says so.
  public var modelSHA256: String?
  /// Names that the module exports.
  public var exports: [String]
  /// The public key that signed it, as `roost key show` prints it.
  public var signer: String?
  /// Milliseconds since 1970.
  public var publishedMs: UInt64
  /// Why it cannot be used: its file is damaged, or the node no longer accepts it.
  public var failure: String?

  public init(
    name: String, version: UInt32, kind: ModuleKind, byteCount: UInt64, sha256: String,
    modelSHA256: String? = nil, exports: [String], signer: String? = nil, publishedMs: UInt64,
    failure: String? = nil
  ) {
    self.name = name
    self.version = version
    self.kind = kind
    self.byteCount = byteCount
    self.sha256 = sha256
    self.modelSHA256 = modelSHA256
    self.exports = exports
    self.signer = signer
    self.publishedMs = publishedMs
    self.failure = failure
  }

  static let exportsMax = 1_024
  private static let signerBytesMax = 128

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(name)
    body.bytes.u32(version)
    body.bytes.u8(kind.rawValue)
    body.bytes.u64(byteCount)
    body.bytes.string(sha256)
    body.optionalString(modelSHA256)
    body.bytes.count(exports.count)
    for export in exports { body.bytes.string(export) }
    body.optionalString(signer)
    body.bytes.u64(publishedMs)
    body.optionalString(failure.map(RoostError.clipped))
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    name = try body.fixed.string("module name", atMost: Limits.nameBytesMax)
    version = try body.fixed.u32()
    guard let kind = ModuleKind(rawValue: try body.fixed.u8()) else {
      throw RoostError(.corrupted, "unknown module kind", at: "byte \(body.fixed.offset - 1)")
    }
    self.kind = kind
    byteCount = try body.fixed.u64()
    sha256 = try body.fixed.string("digest", atMost: 64)
    modelSHA256 = try body.optionalString("digest of the model", atMost: 64)
    exports = try body.list("export count", atMost: ModuleDescription.exportsMax) {
      (body) throws(RoostError) in
      try body.fixed.string("export name", atMost: Limits.fieldNameBytesMax)
    }
    signer = try body.optionalString("signer", atMost: ModuleDescription.signerBytesMax)
    publishedMs = try body.fixed.u64()
    failure = try body.optionalString("failure", atMost: RoostError.textBytesMax)
  }
}
