// Files as parameters: the ring plugs in io_uring, tests plug in a disk in memory that loses power.

public struct OpenOptions: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let read = OpenOptions(rawValue: 1)
  public static let write = OpenOptions(rawValue: 2)
  public static let create = OpenOptions(rawValue: 4)
  /// With `create`: the file must not exist yet.
  public static let exclusive = OpenOptions(rawValue: 8)
  public static let truncate = OpenOptions(rawValue: 16)
  /// Bypass the page cache (O_DIRECT): offsets, sizes and buffers are multiples of 4096.
  public static let direct = OpenOptions(rawValue: 32)
  /// With `create`: nobody but the owner may read or write the file (mode 0600).
  public static let secret = OpenOptions(rawValue: 64)
}

/// An open file. All operations throw `.io` (`.noSpace` when the disk is full) with the path as place.
public protocol File: AnyObject, Sendable {
  var path: String { get }
  func size() async throws(RoostError) -> UInt64
  /// Fills `range` of `buffer` from `offset`; returns fewer bytes only at the end of the file.
  func read(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) -> Int
  /// Writes all of `range` of `buffer` at `offset`, extending the file as needed.
  func write(_ buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError)
  /// Returns once every write that completed before is durable (fdatasync).
  func sync() async throws(RoostError)
  func truncate(to size: UInt64) async throws(RoostError)
  /// Maps the whole file for reading. The mapping stays valid after `close`.
  func map() async throws(RoostError) -> FileMapping
  /// A queue of reads in flight for one task.
  func makeReadQueue() -> any ReadQueue
  func close() async
}

/// Reads in flight: submit many, take completions in whatever order they arrive. Confined to one task.
public protocol ReadQueue: AnyObject {
  var inFlight: Int { get }
  /// Starts reading `range` of `buffer` from `offset`; `tag` comes back from `next`.
  func submit(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64, tag: Int)
  /// The tag of a read that completed in full; requires `inFlight > 0`. A failed or short read throws.
  func next() async throws(RoostError) -> Int
}

/// A read-only view of a whole file in memory; unmapped when the last reference goes.
///
/// Safety of `@unchecked Sendable`: address and size are constant and the bytes are never written.
public final class FileMapping: @unchecked Sendable {
  public let bytes: UnsafeRawBufferPointer
  private let release: (UnsafeRawBufferPointer) -> Void

  public init(bytes: UnsafeRawBufferPointer, release: @escaping (UnsafeRawBufferPointer) -> Void) {
    self.bytes = bytes
    self.release = release
  }

  deinit { release(bytes) }
}

/// A held exclusive lock; released when the last reference goes or the process ends.
public protocol FileLock: AnyObject, Sendable {}

/// Paths are plain strings with '/'. Creating, renaming, linking and removing are durable only after
/// `syncDirectory` of the folder.
public protocol FileSystem: Sendable {
  func open(_ path: String, _ options: OpenOptions) async throws(RoostError) -> any File
  func exists(_ path: String) async throws(RoostError) -> Bool
  /// Names (not paths) in a folder, sorted; without "." and "..".
  func list(_ directory: String) async throws(RoostError) -> [String]
  /// Creates the folder and its parents; an existing folder is fine.
  func makeDirectory(_ path: String) async throws(RoostError)
  /// Atomically replaces `target`.
  func rename(_ source: String, to target: String) async throws(RoostError)
  func link(_ source: String, to target: String) async throws(RoostError)
  func remove(_ path: String) async throws(RoostError)
  /// Removes an empty folder.
  func removeDirectory(_ path: String) async throws(RoostError)
  func syncDirectory(_ path: String) async throws(RoostError)
  /// Working memory of `count` bytes that a file without a name backs: zeros at first, and gone with the last
  /// reference or the process. What exceeds the machine's memory is on the disk. A crash leaves at most a file
  /// at `path`. Throws `.noSpace` when the disk has no room for all of it.
  func makeScratch(_ path: String, count: Int) async throws(RoostError) -> AnonymousMemory
  /// Takes an exclusive lock on the file (created when missing); throws `.locked` when another holder has it.
  func lock(_ path: String) async throws(RoostError) -> any FileLock
}

extension FileSystem {
  /// For file systems that are in memory anyway.
  public func makeScratch(_ path: String, count: Int) async throws(RoostError) -> AnonymousMemory {
    try AnonymousMemory(count: count)
  }
}
