// Zero-filled memory straight from the kernel: large capacities cost nothing until they are touched.

import Glibc
import Synchronization

/// A fixed-size anonymous mapping (MAP_NORESERVE): pages are committed at first touch. Or, for work that may be
/// larger than memory, the mapping of a scratch file (`FileSystem.makeScratch`).
///
/// Safety of `@unchecked Sendable`: address and size are constant; how the bytes are shared is the
/// owner's to settle (atomics, or a single writer that publishes).
public final class AnonymousMemory: @unchecked Sendable {
  public let base: UnsafeMutableRawPointer
  public let count: Int
  private let release: @Sendable () -> Void

  /// Throws `.limitExceeded` when the kernel refuses the address space.
  public init(count: Int) throws(RoostError) {
    precondition(count >= 0)
    let bytes = max(count, 1)
    let address = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let address, address != MAP_FAILED else {
      throw RoostError(.limitExceeded, "the system refused \(bytes) bytes of memory", at: "memory")
    }
    base = address
    self.count = count
    let bits = UInt(bitPattern: address)
    release = { munmap(UnsafeMutableRawPointer(bitPattern: bits), bytes) }
  }

  /// Takes over `count` bytes at `base`, which read as zeros; `release` is called when the last reference goes.
  public init(
    adopting base: UnsafeMutableRawPointer, count: Int, release: @escaping @Sendable () -> Void
  ) {
    self.base = base
    self.count = count
    self.release = release
  }

  /// The same bytes; `release` is called when the last reference goes, after which `other` may go, too.
  public convenience init(lending other: AnonymousMemory, release: @escaping @Sendable () -> Void) {
    self.init(adopting: other.base, count: other.count) { withExtendedLifetime(other, release) }
  }

  deinit { release() }

  /// Asks for 2 MiB pages, which memory that is read at random wants; it is then committed in such steps.
  public func preferHugePages() { madvise(base, max(count, 1), MADV_HUGEPAGE) }
}

/// A fixed-size array of atomic words, all zero at first; committed as it is touched.
public final class AtomicWords: Sendable {
  private let memory: AnonymousMemory
  public let count: Int

  public init(count: Int) throws(RoostError) {
    memory = try AnonymousMemory(count: count * MemoryLayout<UInt64>.stride)
    self.count = count
  }

  /// All-zero bytes are a valid `Atomic<UInt64>` of value 0, so the fresh mapping needs no initialising.
  @inline(__always)
  private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    precondition(index >= 0 && index < count)
    return memory.base.assumingMemoryBound(to: Atomic<UInt64>.self) + index
  }

  @inline(__always)
  public func load(_ index: Int) -> UInt64 { word(index).pointee.load(ordering: .relaxed) }

  @inline(__always)
  public func store(_ value: UInt64, at index: Int) { word(index).pointee.store(value, ordering: .relaxed) }

  @inline(__always)
  public func formOr(_ bits: UInt64, at index: Int) {
    word(index).pointee.bitwiseOr(bits, ordering: .relaxed)
  }
}
