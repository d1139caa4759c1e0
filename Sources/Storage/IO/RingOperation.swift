// One operation on its way to a ring, and the ways to prepare the kernel's entry for it.

import CURing
import Core
import Glibc
import Synchronization

/// Safety of `@unchecked Sendable`: a value that is made by one thread and consumed by one ring thread. The
/// addresses in `entry` point into memory that `owner` or the suspended caller keeps alive, and that
/// nobody else touches until the completion (the rule of `IOBuffer`).
struct RingOperation: @unchecked Sendable {
  var entry: io_uring_sqe
  /// A timeout linked to `entry`.
  var linked: io_uring_sqe?
  var completion: RingCompletion
  var owner: AnyObject?
  var isOpenEnded: Bool
  var cancellation: RingCancellation?
}

/// Lets another thread cancel one operation, whether it has started yet or not. Reusable: `reset` first.
final class RingCancellation: Sendable {
  private enum State {
    case idle
    case requested
    case running(Ring, UInt64)
  }

  private let state = Mutex(State.idle)

  func reset() { state.withLock { $0 = .idle } }

  /// The ring's word that the operation starts now; false when it was cancelled before.
  func begin(on ring: Ring, userData: UInt64) -> Bool {
    state.withLock { state in
      if case .requested = state { return false }
      state = .running(ring, userData)
      return true
    }
  }

  func cancel() {
    let running: (Ring, UInt64)? = state.withLock { state in
      defer { state = .requested }
      if case .running(let ring, let userData) = state { return (ring, userData) }
      return nil
    }
    if let (ring, userData) = running { ring.cancel(userData) }
  }

  /// True when `cancel` was called since `reset`.
  var wasRequested: Bool {
    state.withLock { state in
      if case .requested = state { return true }
      return false
    }
  }
}

/// Prepared entries of the submission queue; the ring adds the user data.
enum RingEntry {
  @inline(__always)
  private static func make(_ prepare: (UnsafeMutablePointer<io_uring_sqe>) -> Void) -> io_uring_sqe {
    var entry = io_uring_sqe()
    prepare(&entry)
    return entry
  }

  @inline(__always)
  static func read(_ file: Int32, _ target: UnsafeMutableRawPointer, _ count: Int, at offset: UInt64)
    -> io_uring_sqe
  {
    make { io_uring_prep_read($0, file, target, UInt32(count), offset) }
  }

  @inline(__always)
  static func write(_ file: Int32, _ source: UnsafeRawPointer, _ count: Int, at offset: UInt64)
    -> io_uring_sqe
  {
    make { io_uring_prep_write($0, file, source, UInt32(count), offset) }
  }

  static func sync(_ file: Int32, dataOnly: Bool) -> io_uring_sqe {
    make { io_uring_prep_fsync($0, file, dataOnly ? IORING_FSYNC_DATASYNC : 0) }
  }

  static func open(_ path: UnsafePointer<CChar>, _ flags: Int32, mode: mode_t) -> io_uring_sqe {
    make { io_uring_prep_openat($0, AT_FDCWD, path, flags, mode) }
  }

  static func close(_ file: Int32) -> io_uring_sqe { make { io_uring_prep_close($0, file) } }

  static func status(_ path: UnsafePointer<CChar>, into target: UnsafeMutablePointer<statx>) -> io_uring_sqe {
    make { io_uring_prep_statx($0, AT_FDCWD, path, 0, STATX_TYPE, target) }
  }

  static func makeDirectory(_ path: UnsafePointer<CChar>) -> io_uring_sqe {
    make { io_uring_prep_mkdirat($0, AT_FDCWD, path, 0o777) }
  }

  static func rename(_ source: UnsafePointer<CChar>, to target: UnsafePointer<CChar>) -> io_uring_sqe {
    make { io_uring_prep_renameat($0, AT_FDCWD, source, AT_FDCWD, target, 0) }
  }

  static func link(_ source: UnsafePointer<CChar>, to target: UnsafePointer<CChar>) -> io_uring_sqe {
    make { io_uring_prep_linkat($0, AT_FDCWD, source, AT_FDCWD, target, 0) }
  }

  static func remove(_ path: UnsafePointer<CChar>, isDirectory: Bool) -> io_uring_sqe {
    make { io_uring_prep_unlinkat($0, AT_FDCWD, path, isDirectory ? AT_REMOVEDIR : 0) }
  }

  static func accept(_ listener: Int32) -> io_uring_sqe {
    make { io_uring_prep_accept($0, listener, nil, nil, Int32(SOCK_CLOEXEC.rawValue)) }
  }

  static func connect(_ socket: Int32, _ address: UnsafePointer<sockaddr>, _ count: socklen_t) -> io_uring_sqe
  {
    make { io_uring_prep_connect($0, socket, address, count) }
  }

  @inline(__always)
  static func receive(_ socket: Int32, _ target: UnsafeMutableRawPointer, _ count: Int) -> io_uring_sqe {
    make { io_uring_prep_recv($0, socket, target, count, 0) }
  }

  @inline(__always)
  static func send(_ socket: Int32, _ source: UnsafeRawPointer, _ count: Int) -> io_uring_sqe {
    make { io_uring_prep_send($0, socket, source, count, Int32(MSG_NOSIGNAL) | Int32(MSG_WAITALL)) }
  }

  static func timeout(_ duration: UnsafeMutablePointer<__kernel_timespec>) -> io_uring_sqe {
    make { io_uring_prep_timeout($0, duration, 0, 0) }
  }

  static func linkedTimeout(_ duration: UnsafeMutablePointer<__kernel_timespec>) -> io_uring_sqe {
    make { io_uring_prep_link_timeout($0, duration, 0) }
  }

  static func cancel(_ userData: UInt64) -> io_uring_sqe {
    make { io_uring_prep_cancel64($0, userData, 0) }
  }
}
