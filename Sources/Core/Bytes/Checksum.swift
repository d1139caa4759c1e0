// CRC-32C over bytes, the checksum of every frame, page and section.

import CKernels

/// CRC-32C (Castagnoli, RFC 3720). Chain calls by passing the previous result as `seed`.
@inline(__always)
public func crc32c(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
  roost_crc32c(seed, bytes.baseAddress, bytes.count)
}

public func crc32c(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 {
  bytes.withUnsafeBytes { crc32c($0, seed: seed) }
}
