// The clock of guest deadlines: a thread that advances the engine's epoch every millisecond while guest
// calls are running, and sleeps otherwise, so that an idle node on a battery is not woken for nothing.

import CWasmtime
import Glibc
import Synchronization

/// Advances the epoch of one engine. Deadlines are counted in ticks of at least one millisecond; a thread
/// that is starved ticks late, never early, so an overloaded machine does not fail innocent calls.
final class EpochTicker: Sendable {
  /// What the thread and the callers share; the thread keeps it alive.
  ///
  /// Safety of `@unchecked Sendable`: the engine pointer is constant and `wasmtime_engine_increment_epoch`
  /// may be called from any thread; `wake` is a POSIX semaphore; the rest is atomic.
  private final class State: @unchecked Sendable {
    let engine: OpaquePointer
    let wake: UnsafeMutablePointer<sem_t>
    let active = Atomic<Int>(0)
    let ticks = Atomic<UInt64>(0)
    let sleeping = Atomic<Bool>(false)
    let stopping = Atomic<Bool>(false)

    init(engine: OpaquePointer) {
      self.engine = engine
      wake = .allocate(capacity: 1)
      sem_init(wake, 0, 0)
    }

    deinit {
      sem_destroy(wake)
      wake.deallocate()
    }

    /// Ticks without any call after which the thread goes to sleep.
    static let idleTicksMax = 100

    func run() {
      var idle = 0
      var period = timespec(tv_sec: 0, tv_nsec: 1_000_000)
      while !stopping.load(ordering: .sequentiallyConsistent) {
        nanosleep(&period, nil)
        wasmtime_engine_increment_epoch(engine)
        ticks.add(1, ordering: .relaxed)
        idle = active.load(ordering: .sequentiallyConsistent) == 0 ? idle + 1 : 0
        if idle > State.idleTicksMax { sleep() }
      }
    }

    // Either `begin` sees `sleeping` and posts, or this sees its `active` and does not wait: both are
    // sequentially consistent. A post too many only makes a later sleep return at once.
    private func sleep() {
      sleeping.store(true, ordering: .sequentiallyConsistent)
      if active.load(ordering: .sequentiallyConsistent) == 0,
        !stopping.load(ordering: .sequentiallyConsistent)
      {
        while sem_wait(wake) != 0 && errno == EINTR {}
      }
      sleeping.store(false, ordering: .sequentiallyConsistent)
    }
  }

  private let state: State
  private let thread: Mutex<pthread_t?>

  /// Nil when the thread cannot be started.
  init?(engine: OpaquePointer) {
    let state = State(engine: engine)
    self.state = state
    // Signals belong to the threads that wait for them; this one takes none.
    var all = sigset_t()
    var previous = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &previous)
    defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }

    var handle = pthread_t()
    let box = Unmanaged.passRetained(state)
    let status = pthread_create(
      &handle, nil,
      { argument in
        if let argument { Unmanaged<State>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, box.toOpaque())
    guard status == 0 else {
      box.release()
      return nil
    }
    thread = Mutex(handle)
  }

  /// Ticks since the start; stands still while no call runs.
  var ticks: UInt64 { state.ticks.load(ordering: .relaxed) }

  /// A guest call begins: from here on the epoch advances.
  @inline(__always)
  func begin() {
    state.active.add(1, ordering: .sequentiallyConsistent)
    if state.sleeping.load(ordering: .sequentiallyConsistent) {
      if state.sleeping.exchange(false, ordering: .sequentiallyConsistent) { sem_post(state.wake) }
    }
  }

  @inline(__always)
  func end() { state.active.subtract(1, ordering: .sequentiallyConsistent) }

  /// Stops the thread and waits for it. Safe to call twice.
  func stop() {
    let handle = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    guard let handle else { return }
    state.stopping.store(true, ordering: .sequentiallyConsistent)
    sem_post(state.wake)
    pthread_join(handle, nil)
  }
}
