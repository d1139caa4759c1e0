// Idle instances of one module, ready for the next call.

import Synchronization

/// A last-in, first-out list, so that the warmest memory is used again.
final class InstancePool: Sendable {
  private let idle = Mutex<[WasmInstance]>([])
  private let idleMax: Int

  init(idleMax: Int) { self.idleMax = idleMax }

  func take() -> WasmInstance? { idle.withLock { $0.popLast() } }

  /// Keeps the instance unless it is broken or there are enough.
  func give(_ instance: WasmInstance) {
    guard !instance.isBroken else { return }
    idle.withLock { idle in
      if idle.count < idleMax { idle.append(instance) }
    }
  }
}
