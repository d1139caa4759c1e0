// Roost guest SDK: the exports of an embedder module, around the type that it calls `ModuleEmbedder`.

nonisolated(unsafe) private var moduleEmbedder = ModuleEmbedder()

@_expose(wasm, "roost_dimension") @_cdecl("roost_dimension")
public func roostDimension() -> Int32 { Int32(ModuleEmbedder.dimension) }

@_expose(wasm, "roost_embed") @_cdecl("roost_embed")
public func roostEmbed(
  _ input: UnsafeRawPointer, _ count: Int32, _ vectors: UnsafeMutablePointer<Float>
) -> Int32 {
  let dimension = ModuleEmbedder.dimension
  for index in 0..<Int(count) {
    let vector = vectors + index * dimension
    vector.update(repeating: 0, count: dimension)
    do throws(GuestError) {
      try moduleEmbedder.embed(batchItem(input, index), into: vector)
    } catch {
      return error.status
    }
  }
  return count
}
