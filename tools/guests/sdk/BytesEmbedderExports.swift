// Roost guest SDK: the exports of an embedder of bytes, around the type that it calls `ModuleBytesEmbedder`.

nonisolated(unsafe) private var moduleEmbedder = ModuleBytesEmbedder()

@_expose(wasm, "roost_dimension") @_cdecl("roost_dimension")
public func roostDimension() -> Int32 { Int32(ModuleBytesEmbedder.dimension) }

@_expose(wasm, "roost_embed_bytes") @_cdecl("roost_embed_bytes")
public func roostEmbedBytes(
  _ input: UnsafeRawPointer, _ count: Int32, _ vectors: UnsafeMutablePointer<Float>
) -> Int32 {
  vectors.update(repeating: 0, count: Int(count) * ModuleBytesEmbedder.dimension)
  do throws(GuestError) {
    for index in 0..<Int(count) {
      try moduleEmbedder.embed(
        batchItem(input, index), into: vectors + index * ModuleBytesEmbedder.dimension)
    }
    return count
  } catch {
    return error.status
  }
}
