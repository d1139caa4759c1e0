// The memory of a flush or a merge: counted, and bounded whatever the size of the segments.

import Core
import Synchronization

/// Hands out blocks. As long as they fit the limit they are memory of the process; beyond it they lie in scratch
/// files that are mapped, which the kernel writes out when it needs the memory for something else. So the work
/// takes its time when memory is short, and never more of it than agreed.
final class WorkMemory: Sendable {
  struct Usage: Sendable, Equatable {
    /// Bytes of memory in use, and the most that ever were.
    var bytes = 0
    var peakBytes = 0
    /// Bytes of all blocks that went into scratch files.
    var spilledBytes = 0
  }

  private struct State {
    var usage = Usage()
    var blocks = 0
  }

  let limit: Int
  private let directory: String
  private let files: any FileSystem
  private let state = Mutex(State())

  /// - Parameters:
  ///   - limit: bytes.
  ///   - directory: where scratch files go.
  init(limit: Int, directory: String, files: any FileSystem) {
    precondition(limit >= 0)
    self.limit = limit
    self.directory = directory
    self.files = files
  }

  var usage: Usage { state.withLock { $0.usage } }

  /// A block of `count` zeros; its share of the limit comes back when the last reference goes. What is read at
  /// random should be asked for first.
  /// - Throws: `.noSpace` when a scratch file does not fit on the disk.
  func block(_ count: Int) async throws(RoostError) -> AnonymousMemory {
    let number: Int? = state.withLock { state in
      if state.usage.bytes + count <= limit {
        state.usage.bytes += count
        state.usage.peakBytes = max(state.usage.peakBytes, state.usage.bytes)
        return nil
      }
      state.blocks += 1
      return state.blocks
    }
    if let number {
      let block = try await files.makeScratch("\(directory)/work-\(number).tmp", count: count)
      state.withLock { $0.usage.spilledBytes += count }
      return block
    }
    do throws(RoostError) {
      return AnonymousMemory(lending: try AnonymousMemory(count: count)) { self.giveBack(count) }
    } catch {
      giveBack(count)
      throw error
    }
  }

  private func giveBack(_ count: Int) { state.withLock { $0.usage.bytes -= count } }

  /// A table of `count` rows, all `RowTable.none`.
  func table(_ count: Int) async throws(RoostError) -> RowTable {
    RowTable(memory: try await block(count * MemoryLayout<UInt32>.stride), count: count)
  }
}

/// `[count]` of row numbers, in the memory of a flush or merge. Written by whoever made it, then only read.
///
/// Safety of `Sendable`: it is handed to other tasks after it has been filled.
final class RowTable: Sendable {
  static let none = UInt32.max

  let count: Int
  private let memory: AnonymousMemory

  fileprivate init(memory: AnonymousMemory, count: Int) {
    self.memory = memory
    self.count = count
  }

  @inline(__always)
  private var words: UnsafeMutablePointer<UInt32> { memory.base.assumingMemoryBound(to: UInt32.self) }

  /// Stored inverted, so that zeros mean `none`.
  @inline(__always)
  subscript(index: Int) -> UInt32 {
    get {
      precondition(index >= 0 && index < count)
      return ~words[index]
    }
    set {
      precondition(index >= 0 && index < count)
      words[index] = ~newValue
    }
  }

}
