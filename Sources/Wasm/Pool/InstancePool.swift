// Idle instances, ready for the next call: the engine has one pool for its embedders, and each filter has
// one of its own for the threads of its query.

import Synchronization

/// Oldest first; the newest is taken first, because its memory is warm.
final class InstancePool: Sendable {
  private let idle = Mutex<[WasmInstance]>([])
  private let idlePerModuleMax: Int

  init(idlePerModuleMax: Int) { self.idlePerModuleMax = idlePerModuleMax }

  func take(of code: ModuleCode) -> WasmInstance? {
    idle.withLock { idle in
      idle.lastIndex { $0.code === code }.map { idle.remove(at: $0) }
    }
  }

  /// Keeps the instance unless it is broken or its module has enough.
  func give(_ instance: WasmInstance) {
    guard !instance.isBroken else { return }
    idle.withLock { idle in
      if idle.count(where: { $0.code === instance.code }) < idlePerModuleMax { idle.append(instance) }
    }
  }

  /// Lets go of the instance that has been idle longest; false when none is.
  func evictOldest() -> Bool {
    // The instance dies outside the lock.
    let oldest = idle.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    return oldest != nil
  }

  func evictAll(of code: ModuleCode) {
    let evicted = idle.withLock { idle in
      let evicted = idle.filter { $0.code === code }
      idle.removeAll { $0.code === code }
      return evicted
    }
    withExtendedLifetime(evicted) {}
  }
}
