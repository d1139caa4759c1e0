import CKernels
import Core
import Testing

@Suite struct ChecksumTests {
  @Test func knownAnswer() {
    // RFC 3720 appendix B.4.
    #expect(crc32c(Array("123456789".utf8)) == 0xe306_9283)
    #expect(crc32c([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    #expect(crc32c([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
  }

  @Test func dispatchedEqualsPortableAtEveryLength() {
    var random = SplitMix64(seed: 7)
    let bytes = (0..<9000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    bytes.withUnsafeBytes { raw in
      for count in Array(0..<600) + [3071, 3072, 3073, 6144, 8999] {
        let slice = UnsafeRawBufferPointer(rebasing: raw[..<count])
        let seed = UInt32(truncatingIfNeeded: random.next())
        #expect(crc32c(slice, seed: seed) == roost_crc32c_portable(seed, slice.baseAddress, count))
      }
    }
  }

  @Test func chainsAcrossPieces() {
    let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let whole = crc32c(bytes)
    #expect(crc32c(Array(bytes[3000...]), seed: crc32c(Array(bytes[..<3000]))) == whole)
  }
}
