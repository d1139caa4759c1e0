// Roost guest SDK: the exports of a filter module, around the type that it calls `ModuleFilter`.

nonisolated(unsafe) private var moduleFilter: ModuleFilter?
/// The declared field names, one a line; lives as long as the instance.
nonisolated(unsafe) private var fieldNames: [UInt8] = []

@_expose(wasm, "roost_configure") @_cdecl("roost_configure")
public func roostConfigure(_ parameters: UnsafeRawPointer, _ size: Int32) -> Int32 {
  // The host's bytes go away with this call; the filter may keep slices of them.
  let copy = UnsafeMutableRawPointer.allocate(byteCount: max(1, Int(size)), alignment: 8)
  copy.copyMemory(from: parameters, byteCount: Int(size))
  do throws(GuestError) {
    moduleFilter = try ModuleFilter(parameters: Fields(Bytes(start: copy, count: Int(size))))
    return 0
  } catch {
    return error.status
  }
}

@_expose(wasm, "roost_fields") @_cdecl("roost_fields")
public func roostFields() -> UInt64 {
  guard let moduleFilter else { return 0 }
  fieldNames.removeAll()
  for name in moduleFilter.fields {
    if !fieldNames.isEmpty { fieldNames.append(10) }
    for index in 0..<name.count { fieldNames.append(name[index]) }
  }
  // A global array does not move until it is changed, and only this function changes it.
  return fieldNames.withUnsafeBufferPointer { names in
    guard let start = names.baseAddress, names.count > 0 else { return 0 }
    return UInt64(UInt(bitPattern: start)) << 32 | UInt64(names.count)
  }
}

@_expose(wasm, "roost_filter") @_cdecl("roost_filter")
public func roostFilter(
  _ input: UnsafeRawPointer, _ count: Int32, _ verdicts: UnsafeMutablePointer<UInt8>
) -> Int32 {
  guard let filter = moduleFilter else { return GuestError("the filter has no parameters yet").status }
  for index in 0..<Int(count) { verdicts[index] = filter.passes(Fields(batchItem(input, index))) ? 1 : 0 }
  return count
}
