// The embedder of ONNX models: what an input becomes before the model sees it, and what its output becomes
// afterwards. tools/guests/onnx/README.md tells what a model may say about that.

struct OnnxEmbedder: Embedder {
  static var dimension: Int { LoadedModel.shared.dimension }

  init() {}

  mutating func embed(_ text: Bytes, into vector: Floats) throws(GuestError) {
    try LoadedModel.shared.ready().embed(text: text, into: vector)
  }
}

typealias ModuleEmbedder = OnnxEmbedder

@_expose(wasm, "roost_embed_bytes") @_cdecl("roost_embed_bytes")
public func roostEmbedBytes(
  _ input: UnsafeRawPointer, _ count: Int32, _ vectors: UnsafeMutablePointer<Float>
) -> Int32 {
  let dimension = LoadedModel.shared.dimension
  do throws(GuestError) {
    for index in 0..<Int(count) {
      let vector = vectors + index * dimension
      vector.update(repeating: 0, count: dimension)
      try LoadedModel.shared.ready().embed(bytes: batchItem(input, index), into: vector)
    }
    return count
  } catch {
    return error.status
  }
}

/// The model of this module, or why it cannot be used.
final class LoadedModel {
  nonisolated(unsafe) static let shared = LoadedModel()
  private var network: Network?
  private var failure: GuestError?

  private init() {
    do throws(GuestError) { network = try Network() } catch { failure = error }
  }

  /// A negative number, with a message left behind, when the model cannot be used.
  var dimension: Int {
    if let failure { return Int(failure.status) }
    return network?.dimension ?? 0
  }

  func ready() throws(GuestError) -> Network {
    guard let network else { throw failure ?? GuestError("the module was built without its model") }
    return network
  }
}
