// SHA-256: the name of a module, and of a model, by its content.

import COpenSSL
import Core

/// A SHA-256 digest (FIPS 180-4).
public struct Digest: Hashable, Sendable {
  /// 32 bytes.
  package let bytes: [UInt8]

  package static let byteCount = 32

  /// The digest of `content`.
  public init(of content: [UInt8]) {
    var digest = [UInt8](repeating: 0, count: Digest.byteCount)
    let done = content.withUnsafeBytes {
      EVP_Digest($0.baseAddress, $0.count, &digest, nil, EVP_sha256(), nil)
    }
    precondition(done == 1, "OpenSSL has no SHA-256")
    bytes = digest
  }

  /// Nil when there are not 32 bytes.
  package init?(bytes: [UInt8]) {
    guard bytes.count == Digest.byteCount else { return nil }
    self.bytes = bytes
  }

  /// Nil for anything but 64 lower-case hexadecimal digits.
  public init?(text: some StringProtocol) {
    guard let bytes = Hexadecimal.decode(text) else { return nil }
    self.init(bytes: bytes)
  }

  /// 64 hexadecimal digits.
  public var text: String { Hexadecimal.encode(bytes) }
}
