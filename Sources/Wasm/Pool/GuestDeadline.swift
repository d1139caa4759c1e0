// How long a guest call may run. Ticks count real time, but a thread that the machine did not let run is
// not the guest's fault: before a call is ended, the CPU time that it had is looked at.

import CWasmtime
import Glibc

/// The deadline of one instance's current call; confined, like the instance, to one thread at a time.
///
/// Reading a thread's CPU clock is a system call, too slow for every batch. So the call first runs for half
/// of its time unwatched; then the clock is read, and the call ends once it has had most of the other half.
final class GuestDeadline {
  private var halfTicks: UInt64 = 1
  private var watchedSince: UInt64?
  private var extensions = 0
  /// The current or last call was ended by its deadline.
  private(set) var hasPassed = false

  /// Extensions for a starved thread, a quarter of the time each: in all about ten times the deadline.
  private static let extensionsMax = 40

  /// A call begins; returns the ticks until `expired` is to be asked.
  @inline(__always)
  func begin(milliseconds: Int) -> UInt64 {
    halfTicks = UInt64(max(1, (milliseconds + 1) / 2))
    watchedSince = nil
    extensions = 0
    hasPassed = false
    // One tick more: the running one may end at any moment.
    return halfTicks + 1
  }

  /// The ticks to go on for; nil when the call has had its time.
  func expired() -> UInt64? {
    let now = GuestDeadline.threadNanos()
    guard let start = watchedSince else {
      watchedSince = now
      return halfTicks
    }
    guard now - start < halfTicks * 800_000, extensions < GuestDeadline.extensionsMax else {
      hasPassed = true
      return nil
    }
    extensions += 1
    return max(1, halfTicks / 2)
  }

  private static func threadNanos() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// Makes wasmtime ask this object. The caller keeps it alive as long as the store.
  func watch(_ store: OpaquePointer) {
    wasmtime_store_epoch_deadline_callback(
      store,
      { _, data, ticks, _ in
        guard let data else { return nil }
        if let more = Unmanaged<GuestDeadline>.fromOpaque(data).takeUnretainedValue().expired() {
          ticks.pointee = more
          return nil
        }
        return wasmtime_error_new("ran past its deadline")
      }, Unmanaged.passUnretained(self).toOpaque(), nil)
  }
}
