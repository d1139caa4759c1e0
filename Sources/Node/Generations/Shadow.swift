// The next generation of a collection while it is being built: what writes go to it beside the one that serves.

import Core
import Storage
import Synchronization
import Wasm

/// Made by `Reembedding`; writers send it what they have written.
final class Shadow: Sendable {
  let collection: Collection
  let embedder: EmbedderVersion
  let module: WasmModule
  private let failureState = Mutex<RoostError?>(nil)

  init(collection: Collection, embedder: EmbedderVersion, module: WasmModule) {
    self.collection = collection
    self.embedder = embedder
    self.module = module
  }

  /// Why it can no longer become the next generation.
  var failure: RoostError? { failureState.withLock { $0 } }

  /// The first failure counts.
  func fail(_ error: RoostError) { failureState.withLock { $0 = $0 ?? error } }
}

/// How far a collection is on its way to another version of its embedder.
struct ReembeddingProgress: Sendable {
  var target: EmbedderVersion
  var done = 0
  var total = 0
  /// Why it has stopped; the collection goes on with the version that it has.
  var failure: RoostError?

  var payload: Value {
    var map: [String: Value] = [
      "version": .int(Int64(target.number)), "sha256": .string(target.digest.text),
      "records": .int(Int64(done)),
      "of": .int(Int64(total)),
    ]
    if let failure { map["failure"] = .string(String(failure.description.prefix(1_000))) }
    return .map(map)
  }
}
