// The clocks of the operating system; sleeping is a timeout on the ring.

import CURing
import Core
import Glibc

public struct SystemClock: Clock {
  private let ring: Ring

  init(ring: Ring) { self.ring = ring }

  public func wallMicros() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
  }

  public func monotonicNanos() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  public func sleep(nanos: UInt64) async throws(RoostError) {
    let duration = UnsafeMutablePointer<__kernel_timespec>.allocate(capacity: 1)
    defer { duration.deallocate() }
    duration.initialize(to: kernelDuration(nanos: nanos))
    let cancellation = RingCancellation()
    let entry = RingEntry.timeout(duration)
    let result = await withTaskCancellationHandler {
      await ring.perform(entry, openEnded: true, cancellation: cancellation)
    } onCancel: {
      cancellation.cancel()
    }
    guard result == -ETIME || result == 0 else {
      throw RoostError(
        .cancelled, cancellation.wasRequested ? "the sleep was cancelled" : "the runtime is shutting down",
        at: "clock")
    }
  }
}

func kernelDuration(nanos: UInt64) -> __kernel_timespec {
  __kernel_timespec(tv_sec: Int64(nanos / 1_000_000_000), tv_nsec: Int64(nanos % 1_000_000_000))
}
