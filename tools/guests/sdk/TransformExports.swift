// Roost guest SDK: the exports of a transform module, around the type that it calls `ModuleTransform`.

nonisolated(unsafe) private var moduleTransform: ModuleTransform?
/// The changes of the records of the last call, which the host reads after it.
nonisolated(unsafe) private var answers: [[UInt8]] = []

@_expose(wasm, "roost_configure") @_cdecl("roost_configure")
public func roostConfigure(_ parameters: UnsafeRawPointer, _ size: Int32) -> Int32 {
  do throws(GuestError) {
    moduleTransform = try ModuleTransform(parameters: keptParameters(parameters, size))
    return 0
  } catch {
    return error.status
  }
}

@_expose(wasm, "roost_fields") @_cdecl("roost_fields")
public func roostFields() -> UInt64 { moduleTransform.map { declare(fields: $0.fields) } ?? 0 }

@_expose(wasm, "roost_transform") @_cdecl("roost_transform")
public func roostTransform(
  _ input: UnsafeRawPointer, _ count: Int32, _ output: UnsafeMutablePointer<UInt32>
) -> Int32 {
  guard moduleTransform != nil else { return GuestError("the transform has no parameters yet").status }
  answers.removeAll()
  for index in 0..<Int(count) {
    let answer = output + index * 3
    do throws(GuestError) {
      var changes = Changes()
      try moduleTransform!.transform(Fields(batchItem(input, index)), &changes)
      answers.append(changes.encoded)
      // An array's elements do not move when it is moved.
      answers[answers.count - 1].withUnsafeBufferPointer { bytes in
        answer[0] = 0
        answer[1] = UInt32(UInt(bitPattern: bytes.baseAddress))
        answer[2] = UInt32(bytes.count)
      }
    } catch {
      answer[0] = 1
      answer[1] = UInt32(UInt(bitPattern: error.message.start))
      answer[2] = UInt32(error.message.count)
    }
  }
  return count
}
