// Roost guest SDK: the batches of filters and scorers, and the names of what they read.

/// The vectors' dimension, as `roost_query` says.
nonisolated(unsafe) var candidateDimension = 0

/// A batch of candidates (spec/wasm-abi.md, "Batches").
struct CandidateBatch {
  let input: UnsafeRawPointer
  let distances: UnsafePointer<Float>?
  let vectors: UnsafePointer<Float>

  @inline(__always)
  init(_ input: UnsafeRawPointer, _ count: Int, hasDistances: Bool) {
    self.input = input
    var next = input + Int(input.load(fromByteOffset: count * 4, as: UInt32.self))
    next += (16 - Int(bitPattern: next) & 15) & 15
    if hasDistances {
      distances = next.assumingMemoryBound(to: Float.self)
      next += (count * 4 + 15) & ~15
    } else {
      distances = nil
    }
    vectors = next.assumingMemoryBound(to: Float.self)
  }

  @inline(__always)
  subscript(index: Int) -> Candidate {
    Candidate(
      fields: Fields(batchItem(input, index)), distance: distances.map { $0[index] } ?? 0,
      vector: FloatSpan(start: vectors + index * candidateDimension, count: candidateDimension))
  }
}

/// A copy of the host's parameters, which go away with the call; what reads them may keep slices of them.
func keptParameters(_ parameters: UnsafeRawPointer, _ size: Int32) -> Fields {
  let copy = UnsafeMutableRawPointer.allocate(byteCount: max(1, Int(size)), alignment: 8)
  copy.copyMemory(from: parameters, byteCount: Int(size))
  return Fields(Bytes(start: copy, count: Int(size)))
}

nonisolated(unsafe) private var declaredNames: [UInt8] = []
nonisolated(unsafe) private var declaredVector: [UInt8] = []

/// The span of names, one a line; it lives until the next call.
func declare(fields: [Bytes]) -> UInt64 {
  declaredNames.removeAll()
  for name in fields {
    if !declaredNames.isEmpty { declaredNames.append(10) }
    for index in 0..<name.count { declaredNames.append(name[index]) }
  }
  return span(declaredNames)
}

func declare(vector: Bytes?) -> UInt64 {
  declaredVector.removeAll()
  guard let vector else { return 0 }
  for index in 0..<vector.count { declaredVector.append(vector[index]) }
  return span(declaredVector)
}

// A global array does not move until it is changed.
private func span(_ bytes: [UInt8]) -> UInt64 {
  bytes.withUnsafeBufferPointer { bytes in
    guard let start = bytes.baseAddress, bytes.count > 0 else { return 0 }
    return UInt64(UInt(bitPattern: start)) << 32 | UInt64(bytes.count)
  }
}
