// Many reads in flight for one task: the way of graph search on disk. Submitting and taking a completion
// allocate nothing once the queue has reached its depth, and create no task; the task suspends only when
// nothing has completed.

import CURing
import Core
import Glibc
import Synchronization

final class RingReadQueue: ReadQueue, Sendable {
  private struct Read {
    var buffer: IOBuffer?
    var start = 0
    var count = 0
    var done = 0
    var offset: UInt64 = 0
    var tag = 0
  }

  private struct State {
    var reads: [Read] = []
    var free: [Int] = []
    /// Finished reads as (index, error number), taken in order from `taken`.
    var finished: [(Int, Int32)] = []
    var taken = 0
    var inFlight = 0
    var waiter: UnsafeContinuation<Void, Never>?
  }

  /// Reports of a read that ended at the end of the file before it was full, and of a closed file.
  private static let endOfFile: Int32 = -1
  private static let fileClosed: Int32 = -2
  private static let misaligned: Int32 = -3

  private let file: RingFile
  // The task and the ring thread are mostly one and the same, then the lock is never contended (about
  // 15 ns a read); it is what makes the queue safe for tasks that run elsewhere.
  private let state = Mutex(State())

  init(file: RingFile) { self.file = file }

  var inFlight: Int { state.withLock { $0.inFlight } }

  func submit(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64, tag: Int) {
    let index = state.withLock { state in
      let index: Int
      if let reused = state.free.popLast() {
        index = reused
      } else {
        index = state.reads.count
        state.reads.append(Read())
      }
      state.reads[index].buffer = buffer
      state.reads[index].start = range.lowerBound
      state.reads[index].count = range.count
      state.reads[index].done = 0
      state.reads[index].offset = offset
      state.reads[index].tag = tag
      state.inFlight += 1
      return index
    }
    do throws(RoostError) {
      try file.check(buffer, range, offset)
    } catch {
      finish(index, RingReadQueue.misaligned)
      return
    }
    guard range.count > 0 else {
      finish(index, 0)
      return
    }
    guard file.descriptor.acquire() else {
      finish(index, RingReadQueue.fileClosed)
      return
    }
    let entry = RingEntry.read(
      file.descriptor.number, buffer.base + range.lowerBound, range.count, at: offset)
    if let ring = Ring.current {
      ring.startRead(entry, self, index: index, keeping: buffer)
    } else {
      file.ring.submit(
        RingOperation(
          entry: entry, linked: nil, completion: .read(self, index), owner: buffer, isOpenEnded: false))
    }
  }

  func next() async throws(RoostError) -> Int {
    while true {
      let outcome: (tag: Int, code: Int32)? = state.withLock { state in
        precondition(state.inFlight > 0, "next() needs a read in flight")
        guard state.taken < state.finished.count else { return nil }
        let (index, code) = state.finished[state.taken]
        state.taken += 1
        if state.taken == state.finished.count {
          state.finished.removeAll(keepingCapacity: true)
          state.taken = 0
        }
        let tag = state.reads[index].tag
        state.reads[index].buffer = nil
        state.free.append(index)
        state.inFlight -= 1
        return (tag, code)
      }
      if let outcome {
        guard outcome.code == 0 else { throw error(outcome.code) }
        return outcome.tag
      }
      await withUnsafeContinuation { continuation in
        let isReady = state.withLock { state in
          precondition(state.waiter == nil, "a read queue belongs to one task")
          if state.taken < state.finished.count { return true }
          state.waiter = continuation
          return false
        }
        if isReady { continuation.resume() }
      }
    }
  }

  /// The ring's report of one read. Short and interrupted reads go on.
  func complete(_ index: Int, result: Int32, on ring: Ring) {
    let again: (entry: io_uring_sqe, buffer: IOBuffer)? = state.withLock { state in
      if result > 0 { state.reads[index].done += Int(result) }
      let read = state.reads[index]
      guard let buffer = read.buffer, read.done < read.count else { return nil }
      let mayGoOn = result > 0 ? !file.isEnd(read.done) : result == -EINTR || result == -EAGAIN
      guard mayGoOn else { return nil }
      let entry = RingEntry.read(
        file.descriptor.number, buffer.base + read.start + read.done, read.count - read.done,
        at: read.offset + UInt64(read.done))
      return (entry, buffer)
    }
    if let again {
      ring.startRead(again.entry, self, index: index, keeping: again.buffer)
      return
    }
    file.descriptor.release()
    let isShort = result >= 0 && state.withLock { $0.reads[index].done < $0.reads[index].count }
    finish(index, isShort ? RingReadQueue.endOfFile : min(result, 0) == 0 ? 0 : -result)
  }

  private func finish(_ index: Int, _ code: Int32) {
    let waiter = state.withLock { state in
      state.finished.append((index, code))
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }

  private func error(_ code: Int32) -> RoostError {
    switch code {
    case RingReadQueue.endOfFile:
      RoostError(.io, "the file ends before the read is complete", at: file.path)
    case RingReadQueue.fileClosed: file.closedError
    case RingReadQueue.misaligned:
      RoostError(
        .invalidArgument, "direct access needs addresses, sizes and offsets that are multiples of 4096",
        at: file.path)
    default: file.failure(code, "read the file")
    }
  }
}
