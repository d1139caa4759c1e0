// Machine code of modules, kept so that a node starts without compiling (`spec/modules.md`, "Cache"). Machine
// code is run as it is, so every file carries a MAC of a key that never leaves this folder: what this node
// did not write, or somebody has changed, is not looked at. Losing any of it costs a compilation.

import COpenSSL
import Core

struct ArtefactCache: Sendable {
  private let path: String
  private let files: any FileSystem
  private let key: [UInt8]
  private let fingerprint: Digest

  private static let keyName = "KEY"
  private static let suffix = ".aot"
  private static let magic = Array("RoostAOT".utf8) + [1, 0, 0, 0]
  private static let headerBytes = magic.count + 2 * Digest.byteCount
  private static let macBytes = 32
  private static let fileBytesMax = 1 << 30

  /// Opens the cache in folder `path`, which is made when missing; a key that is missing or damaged is replaced,
  /// and with it everything in the cache.
  /// - Parameter fingerprint: what the machine code depends on besides the module.
  static func open(
    _ path: String, fingerprint: String, files: any FileSystem, random: any RandomSource
  ) async throws(RoostError) -> ArtefactCache {
    try await files.makeDirectory(path)
    let keyPath = path + "/" + keyName
    var key: [UInt8] = []
    if try await files.exists(keyPath) {
      do throws(RoostError) { key = try await FileBytes.read(keyPath, atMost: 32, files: files) } catch {
        guard error.kind == .corrupted else { throw error }
      }
    }
    if key.count != 32 {
      var writer = ByteWriter()
      for _ in 0..<4 { writer.u64(random.next()) }
      key = writer.bytes
      try await FileBytes.replace(keyPath, with: key, in: path, options: .secret, files: files)
    }
    return ArtefactCache(
      path: path, files: files, key: key, fingerprint: Digest(of: Array(fingerprint.utf8)))
  }

  private func filePath(_ module: Digest) -> String { "\(path)/\(module.text)\(ArtefactCache.suffix)" }

  /// The machine code of a module; nil when there is none that this node wrote for this engine and processor.
  func load(_ module: Digest, workers: any Workers) async -> ArraySlice<UInt8>? {
    let path = filePath(module)
    do throws(RoostError) {
      guard try await files.exists(path) else { return nil }
      let bytes = try await FileBytes.read(path, atMost: ArtefactCache.fileBytesMax, files: files)
      return await workers.run { self.content(of: bytes, module: module) }
    } catch {
      return nil
    }
  }

  /// Keeps the machine code of a module; durable when this returns.
  func store(
    _ artefact: [UInt8], of module: Digest, workers: any Workers
  ) async throws(RoostError) {
    guard artefact.count < ArtefactCache.fileBytesMax - 1_024 else { return }
    let bytes = await workers.run { self.sealed(artefact, module: module) }
    try await FileBytes.replace(filePath(module), with: bytes, in: path, files: files)
  }

  /// Removes what no module needs any more.
  func sweep(keeping digests: Set<Digest>) async throws(RoostError) {
    let kept = Set(digests.map { $0.text + ArtefactCache.suffix })
    for name in try await files.list(path) where name != ArtefactCache.keyName && !kept.contains(name) {
      try await files.remove(path + "/" + name)
    }
  }

  // MARK: The bytes

  private func header(_ module: Digest) -> [UInt8] {
    ArtefactCache.magic + fingerprint.bytes + module.bytes
  }

  /// Header, machine code, and the MAC of both.
  private func sealed(_ artefact: [UInt8], module: Digest) -> [UInt8] {
    var bytes = header(module)
    bytes.reserveCapacity(bytes.count + artefact.count + ArtefactCache.macBytes)
    bytes += artefact
    return bytes + mac(bytes[...])
  }

  private func content(of bytes: [UInt8], module: Digest) -> ArraySlice<UInt8>? {
    guard bytes.count > ArtefactCache.headerBytes + ArtefactCache.macBytes else { return nil }
    let end = bytes.count - ArtefactCache.macBytes
    let expected = mac(bytes[..<end])
    let isOurs = bytes.withUnsafeBytes { raw in
      CRYPTO_memcmp(expected, raw.baseAddress.map { $0 + end }, ArtefactCache.macBytes) == 0
    }
    guard isOurs, bytes.starts(with: header(module)) else { return nil }
    return bytes[ArtefactCache.headerBytes..<end]
  }

  /// HMAC-SHA-256 (RFC 2104).
  private func mac(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var code = [UInt8](repeating: 0, count: ArtefactCache.macBytes)
    var count: UInt32 = 0
    let done = bytes.withUnsafeBufferPointer {
      HMAC(EVP_sha256(), key, Int32(key.count), $0.baseAddress, $0.count, &code, &count)
    }
    precondition(done != nil && count == ArtefactCache.macBytes, "OpenSSL has no HMAC")
    return code
  }
}
