// One generation of a collection that is open, and how many requests use it.

import Storage
import Synchronization

final class HostedCollection: Sendable {
  let name: String
  let collection: Collection
  let generation: Generation
  /// Writes go through it; the next generation takes it over.
  let gate: WriteGate
  /// The next generation, while it is built: every write goes there, too. Changes while the gate is held.
  let shadow = Mutex<Shadow?>(nil)
  let reembedding = Mutex<ReembeddingProgress?>(nil)
  let users = Atomic<Int>(0)

  init(name: String, collection: Collection, generation: Generation, gate: WriteGate = WriteGate()) {
    self.name = name
    self.collection = collection
    self.generation = generation
    self.gate = gate
  }
}
