// What a search finds, who may veto it, and the 64-bit keys in which the hot loops keep it.

import Core

/// A row and its distance to the query.
struct Candidate: Sendable, Equatable {
  var distance: Float
  var row: UInt32
}

/// Decides which rows may be results: liveness, attribute filters, user code.
protocol RowAcceptor {
  /// True when every row is accepted; then `accept` is never called.
  var acceptsAll: Bool { get }
  /// Whether `prepare` must be called for rows before `accept`.
  var needsPreparing: Bool { get }
  /// Brings what `accept` needs to know of these rows into memory; forgets what earlier calls brought.
  mutating func prepare(_ rows: [UInt32]) async throws(RoostError)
  /// Writes a verdict for each row; both buffers have the same count. Called in batches, on rows near
  /// enough to enter the results.
  mutating func accept(
    rows: UnsafeBufferPointer<UInt32>, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError)
}

extension RowAcceptor {
  var acceptsAll: Bool { false }
  var needsPreparing: Bool { false }
  mutating func prepare(_ rows: [UInt32]) async throws(RoostError) {}
}

/// Accepts every row.
struct AcceptAll: RowAcceptor {
  var acceptsAll: Bool { true }
  func accept(rows: UnsafeBufferPointer<UInt32>, verdicts: UnsafeMutableBufferPointer<Bool>) {
    verdicts.update(repeating: true)
  }
}

/// A candidate as one integer that sorts by distance, then row: the distance's bits, made to ascend, in
/// the upper half; the row in bits 1 to 31; bit 0 says that the row has been expanded.
struct CandidateKey: Comparable, Sendable {
  var bits: UInt64

  /// Rows that a key can name.
  static let rowLimit = 1 << 31

  /// NaN (infinities that cancelled out) counts as infinitely far, −0 as 0.
  @inline(__always)
  init(distance: Float, row: UInt32) {
    let number = distance == distance ? distance + 0 : .infinity
    let pattern = number.bitPattern
    let ascending = pattern ^ (UInt32(bitPattern: Int32(bitPattern: pattern) >> 31) | 0x8000_0000)
    bits = UInt64(ascending) << 32 | UInt64(row) << 1
  }

  @inline(__always)
  init(bits: UInt64) { self.bits = bits }

  @inline(__always)
  var row: UInt32 { UInt32(truncatingIfNeeded: bits) >> 1 }

  @inline(__always)
  var distance: Float {
    let ascending = UInt32(truncatingIfNeeded: bits >> 32)
    let mask = UInt32(bitPattern: Int32(bitPattern: ~ascending) >> 31) | 0x8000_0000
    return Float(bitPattern: ascending ^ mask)
  }

  @inline(__always)
  var isExpanded: Bool { bits & 1 != 0 }

  var candidate: Candidate { Candidate(distance: distance, row: row) }

  @inline(__always)
  static func < (a: CandidateKey, b: CandidateKey) -> Bool { a.bits < b.bits }
}
