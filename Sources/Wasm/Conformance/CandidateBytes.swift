// Candidates of the conformance suite in the form in which a search hands them out.

import Core

/// Encoded payloads, stored vectors and distances, in memory that stays where it is.
final class CandidateBytes {
  private let payloads: [IOBuffer]
  private let vectors: [IOBuffer?]
  private let distances: [Float]

  /// Throws `.invalidArgument` for a vector that does not fit the field.
  init(_ candidates: [ModuleCases.Candidate], _ field: VectorField?) throws(RoostError) {
    var (payloads, vectors): ([IOBuffer], [IOBuffer?]) = ([], [])
    for candidate in candidates {
      payloads.append(IOBuffer(try candidate.payload.validatedEncoding()))
      guard let values = candidate.vector else {
        vectors.append(nil)
        continue
      }
      guard let field, let stored = Vector(json: values, of: field) else {
        throw mismatch("a candidate's vector does not fit the 'vector' that the cases declare")
      }
      vectors.append(IOBuffer(stored.bytes))
    }
    self.payloads = payloads
    self.vectors = vectors
    distances = candidates.map(\.distance)
  }

  private func views(_ buffers: [IOBuffer?]) -> [UnsafeRawBufferPointer] {
    buffers.map { $0?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0) }
  }

  func verdicts(of filter: any CandidateFilter, batch: Int = 1_024) throws(RoostError) -> [Bool] {
    var verdicts = [Bool](repeating: false, count: payloads.count)
    let (all, stored) = (views(payloads), views(vectors))
    for start in stride(from: 0, to: all.count, by: batch) {
      let end = min(start + batch, all.count)
      try Array(all[start..<end]).withUnsafeBufferPointer { (payloads) throws(RoostError) in
        try Array(filter.readsVector == nil ? [] : stored[start..<end]).withUnsafeBufferPointer {
          (vectors) throws(RoostError) in
          try verdicts.withUnsafeMutableBufferPointer { (verdicts) throws(RoostError) in
            try filter.evaluate(
              CandidateBatch(payloads: payloads, vectors: vectors),
              verdicts: UnsafeMutableBufferPointer(rebasing: verdicts[start..<end]))
          }
        }
      }
    }
    return withExtendedLifetime(self) { verdicts }
  }

  func scores(of scorer: any CandidateScorer, near target: [Float]) throws(RoostError) -> [Float] {
    var scores = [Float](repeating: .nan, count: payloads.count)
    if scores.isEmpty { return [] }
    try views(payloads).withUnsafeBufferPointer { (payloads) throws(RoostError) in
      try (scorer.readsVector == nil ? [] : views(vectors)).withUnsafeBufferPointer {
        (vectors) throws(RoostError) in
        try distances.withUnsafeBufferPointer { (distances) throws(RoostError) in
          try scores.withUnsafeMutableBufferPointer { (scores) throws(RoostError) in
            try scorer.score(
              ScoreBatch(payloads: payloads, distances: distances, vectors: vectors, target: target),
              scores: scores)
          }
        }
      }
    }
    return withExtendedLifetime(self) { scores }
  }
}

extension Vector {
  /// The vector of these numbers in the type of a field; nil when it does not fit.
  fileprivate init?(json values: [Float], of field: VectorField) {
    let vector: Vector? =
      switch field.element {
      case .f32, .f16, .bf16: Vector(values).rounded(to: field.element)
      case .u8: Vector(values.compactMap { UInt8(exactly: $0) })
      case .i8: Vector(values.compactMap { Int8(exactly: $0) })
      case .binary: values.count % 8 == 0 ? Vector(bits: values.map { $0 != 0 }) : nil
      }
    guard let vector, vector.dimension == field.dimension else { return nil }
    self = vector
  }
}
