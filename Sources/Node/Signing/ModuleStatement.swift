// What a signature of a module says (`spec/modules.md`): this content may run under this name, as this kind of
// module, with this model. The name is part of it, so that a signed filter cannot pass for another one.

import Core
import Wire

/// The statement that is signed, and its check.
public struct ModuleStatement: Sendable, Equatable {
  public var name: String
  public var kind: ModuleKind
  public var module: Digest
  /// Of the model that the module carries.
  public var model: Digest?

  public init(name: String, kind: ModuleKind, module: Digest, model: Digest?) {
    self.name = name
    self.kind = kind
    self.module = module
    self.model = model
  }

  /// Keeps signatures of modules apart from whatever else a key may sign.
  private static let domain = "roost module statement 1"

  /// The bytes that are signed.
  package var bytes: [UInt8] {
    var writer = ByteWriter()
    writer.string(ModuleStatement.domain)
    writer.string(name)
    writer.u8(kind.rawValue)
    writer.raw(module.bytes)
    writer.raw(model?.bytes ?? [UInt8](repeating: 0, count: Digest.byteCount))
    return writer.bytes
  }

  public func signed(by key: SigningKey) throws(RoostError) -> ModuleSignature {
    ModuleSignature(key: key.publicKey.bytes, signature: try key.sign(bytes))
  }

  /// Throws `.permissionDenied` when the signature is not that of its key over this statement.
  public func verify(_ signature: ModuleSignature) throws(RoostError) {
    guard let key = PublicKey(bytes: signature.key), key.verify(signature.signature, of: bytes) else {
      throw RoostError(
        .permissionDenied,
        "the signature of module '\(name)' is not valid for these bytes, this name and this kind",
        at: "module \(name)",
        remedy: "sign the file that is published, under the name that it is published by, "
          + "with `roost module sign`")
    }
  }
}

/// Which modules a node takes.
public struct SignaturePolicy: Sendable, Equatable {
  /// Modules without a signature of a trusted key are refused.
  public var isRequired = false
  public var trustedKeys: [PublicKey] = []

  public init() {}

  /// Refuses a signature that is wrong, whatever the policy, and none or a stranger's when one is required.
  /// Throws `.permissionDenied`.
  func check(_ statement: ModuleStatement, _ signature: ModuleSignature?) throws(RoostError) {
    if let signature { try statement.verify(signature) }
    guard isRequired else { return }
    let place = "module \(statement.name)"
    guard let signature else {
      throw RoostError(
        .permissionDenied, "module '\(statement.name)' is not signed, and this node requires it", at: place,
        remedy: "sign it with `roost module sign` by one of the keys that the node trusts")
    }
    guard trustedKeys.contains(where: { $0.bytes == signature.key }) else {
      let signer = PublicKey(bytes: signature.key).map(\.description) ?? "an unknown key"
      throw RoostError(
        .permissionDenied,
        "module '\(statement.name)' is signed by \(signer), which this node does not trust",
        at: place, remedy: "add that key to trusted-keys of the node, or sign by one that is there")
    }
  }
}
