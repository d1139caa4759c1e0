// Ed25519 keys (RFC 8032): the one that signs modules and stays with its owner, and the one that nodes trust.

import COpenSSL
import Core

/// Whose signatures a node accepts: the public half of a `SigningKey`.
public struct PublicKey: Hashable, Sendable, CustomStringConvertible {
  /// 32 bytes.
  package let bytes: [UInt8]

  package static let byteCount = 32
  package static let signatureBytes = 64
  private static let prefix = "ed25519:"

  /// Nil when there are not 32 bytes.
  package init?(bytes: [UInt8]) {
    guard bytes.count == PublicKey.byteCount else { return nil }
    self.bytes = bytes
  }

  /// Reads "ed25519:" and 64 hexadecimal digits. Throws `.invalidArgument`.
  public init(text: String, at place: String) throws(RoostError) {
    guard text.hasPrefix(PublicKey.prefix),
      let bytes = Hexadecimal.decode(text.dropFirst(PublicKey.prefix.count)),
      let key = PublicKey(bytes: bytes)
    else {
      throw RoostError(
        .invalidArgument, "'\(text.prefix(100))' is no public key", at: place,
        remedy: "write ed25519: and 64 hexadecimal digits, as `roost key show` prints them")
    }
    self = key
  }

  public var description: String { PublicKey.prefix + Hexadecimal.encode(bytes) }

  /// Whether `signature` is this key's over `message`.
  package func verify(_ signature: [UInt8], of message: [UInt8]) -> Bool {
    guard signature.count == PublicKey.signatureBytes,
      let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, bytes, bytes.count)
    else { return false }
    defer { EVP_PKEY_free(key) }
    guard let context = EVP_MD_CTX_new() else { return false }
    defer { EVP_MD_CTX_free(context) }
    guard EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1 else { return false }
    return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
  }
}

/// Signs modules. Its file is a private key in PKCS #8 (RFC 8410), as OpenSSL reads and writes it.
public struct SigningKey: Sendable {
  private let seed: [UInt8]
  public let publicKey: PublicKey

  private static let seedBytes = 32
  /// DER of a PrivateKeyInfo of Ed25519 up to its 32 bytes.
  private static let pkcs8: [UInt8] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
  ]
  private static let begin = "-----BEGIN PRIVATE KEY-----"
  private static let end = "-----END PRIVATE KEY-----"

  /// The key of a seed of 32 bytes.
  package init(seed: [UInt8]) throws(RoostError) {
    self.seed = seed
    publicKey = try SigningKey.with(seed) { key in
      var bytes = [UInt8](repeating: 0, count: PublicKey.byteCount)
      var count = bytes.count
      guard EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1 else { return nil }
      return PublicKey(bytes: bytes)
    }
  }

  /// A new key; `random` must be fit for secrets.
  public init(random: any RandomSource) throws(RoostError) {
    var writer = ByteWriter()
    for _ in 0..<SigningKey.seedBytes / 8 { writer.u64(random.next()) }
    try self.init(seed: writer.bytes)
  }

  /// Reads the text of a key file. Throws `.invalidArgument` when it holds something else.
  public init(pem: String, at place: String) throws(RoostError) {
    let lines = pem.split(whereSeparator: \.isNewline).map(String.init)
    guard lines.first == SigningKey.begin, lines.last == SigningKey.end, lines.count >= 3,
      let bytes = Base64.decode(lines[1..<lines.count - 1].joined()),
      bytes.count == SigningKey.pkcs8.count + SigningKey.seedBytes, bytes.starts(with: SigningKey.pkcs8)
    else {
      throw RoostError(
        .invalidArgument, "the file holds no Ed25519 private key", at: place,
        remedy: "make one with `roost key generate`")
    }
    try self.init(seed: Array(bytes[SigningKey.pkcs8.count...]))
  }

  /// The text of a key file.
  public var pem: String {
    "\(SigningKey.begin)\n\(Base64.encode(SigningKey.pkcs8 + seed))\n\(SigningKey.end)\n"
  }

  /// 64 bytes.
  package func sign(_ message: [UInt8]) throws(RoostError) -> [UInt8] {
    try SigningKey.with(seed) { key in
      guard let context = EVP_MD_CTX_new() else { return nil }
      defer { EVP_MD_CTX_free(context) }
      var signature = [UInt8](repeating: 0, count: PublicKey.signatureBytes)
      var count = signature.count
      guard EVP_DigestSignInit(context, nil, nil, nil, key) == 1,
        EVP_DigestSign(context, &signature, &count, message, message.count) == 1, count == signature.count
      else { return nil }
      return signature
    }
  }

  private static func with<T>(_ seed: [UInt8], _ body: (OpaquePointer) -> T?) throws(RoostError) -> T {
    if let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count) {
      defer { EVP_PKEY_free(key) }
      if let result = body(key) { return result }
    }
    throw RoostError(.internalFailure, "OpenSSL refused to work with the key", at: "signing key")
  }
}
