// Roost guest SDK: the exports of an embedder module, around the type that it calls `ModuleEmbedder`.

nonisolated(unsafe) private var moduleEmbedder = ModuleEmbedder()

@_expose(wasm, "roost_dimension") @_cdecl("roost_dimension")
public func roostDimension() -> Int32 { Int32(ModuleEmbedder.dimension) }

@_expose(wasm, "roost_embed") @_cdecl("roost_embed")
public func roostEmbed(
  _ input: UnsafeRawPointer, _ count: Int32, _ vectors: UnsafeMutablePointer<Float>
) -> Int32 {
  vectors.update(repeating: 0, count: Int(count) * ModuleEmbedder.dimension)
  do throws(GuestError) {
    try moduleEmbedder.embed(Texts(input: input, count: Int(count)), into: vectors)
    return count
  } catch {
    return error.status
  }
}
