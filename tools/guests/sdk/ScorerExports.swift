// Roost guest SDK: the exports of a scorer module, around the type that it calls `ModuleScorer`.

nonisolated(unsafe) private var moduleScorer: ModuleScorer?

@_expose(wasm, "roost_configure") @_cdecl("roost_configure")
public func roostConfigure(_ parameters: UnsafeRawPointer, _ size: Int32) -> Int32 {
  do throws(GuestError) {
    moduleScorer = try ModuleScorer(parameters: keptParameters(parameters, size))
    return 0
  } catch {
    return error.status
  }
}

@_expose(wasm, "roost_fields") @_cdecl("roost_fields")
public func roostFields() -> UInt64 { moduleScorer.map { declare(fields: $0.fields) } ?? 0 }

@_expose(wasm, "roost_vector") @_cdecl("roost_vector")
public func roostVector() -> UInt64 { moduleScorer.map { declare(vector: $0.vector) } ?? 0 }

@_expose(wasm, "roost_query") @_cdecl("roost_query")
public func roostQuery(_ query: UnsafePointer<Float>, _ count: Int32, _ dimension: Int32) -> Int32 {
  candidateDimension = Int(dimension)
  moduleScorer?.begin(query: FloatSpan(start: query, count: Int(count)))
  return 0
}

@_expose(wasm, "roost_score") @_cdecl("roost_score")
public func roostScore(
  _ input: UnsafeRawPointer, _ count: Int32, _ scores: UnsafeMutablePointer<Float>
) -> Int32 {
  guard moduleScorer != nil else { return GuestError("the scorer has no parameters yet").status }
  let batch = CandidateBatch(input, Int(count), hasDistances: true)
  for index in 0..<Int(count) { scores[index] = moduleScorer!.score(batch[index]) }
  return count
}
