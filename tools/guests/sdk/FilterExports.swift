// Roost guest SDK: the exports of a filter module, around the type that it calls `ModuleFilter`.

nonisolated(unsafe) private var moduleFilter: ModuleFilter?

@_expose(wasm, "roost_configure") @_cdecl("roost_configure")
public func roostConfigure(_ parameters: UnsafeRawPointer, _ size: Int32) -> Int32 {
  do throws(GuestError) {
    moduleFilter = try ModuleFilter(parameters: keptParameters(parameters, size))
    return 0
  } catch {
    return error.status
  }
}

@_expose(wasm, "roost_fields") @_cdecl("roost_fields")
public func roostFields() -> UInt64 { moduleFilter.map { declare(fields: $0.fields) } ?? 0 }

@_expose(wasm, "roost_vector") @_cdecl("roost_vector")
public func roostVector() -> UInt64 { moduleFilter.map { declare(vector: $0.vector) } ?? 0 }

@_expose(wasm, "roost_query") @_cdecl("roost_query")
public func roostQuery(_ query: UnsafePointer<Float>, _ count: Int32, _ dimension: Int32) -> Int32 {
  candidateDimension = Int(dimension)
  return 0
}

@_expose(wasm, "roost_filter") @_cdecl("roost_filter")
public func roostFilter(
  _ input: UnsafeRawPointer, _ count: Int32, _ verdicts: UnsafeMutablePointer<UInt8>
) -> Int32 {
  guard let filter = moduleFilter else { return GuestError("the filter has no parameters yet").status }
  let batch = CandidateBatch(input, Int(count), hasDistances: false)
  for index in 0..<Int(count) { verdicts[index] = filter.passes(batch[index]) ? 1 : 0 }
  return count
}
