// Files of the operating system through io_uring. A file opened here is usable from every thread: each
// operation goes to the ring of the calling thread, and to a fixed one when the caller has none.

import CURing
import Core
import Glibc
import Synchronization

public struct RingFileSystem: FileSystem {
  private let rings: [Ring]
  private let threads: ThreadPool
  private let turn = Turn()

  init(rings: [Ring], threads: ThreadPool) {
    precondition(!rings.isEmpty)
    self.rings = rings
    self.threads = threads
  }

  /// A path's or a directory's operations have no home; any ring does.
  private var ring: Ring { rings[0] }

  /// `direct` falls back to the page cache on file systems that do not have O_DIRECT.
  public func open(_ path: String, _ options: OpenOptions) async throws(RoostError) -> any File {
    precondition(!options.isDisjoint(with: [.read, .write]), "open for reading, writing or both")
    var flags = O_CLOEXEC
    if options.isSuperset(of: [.read, .write]) {
      flags |= O_RDWR
    } else if options.contains(.write) {
      flags |= O_WRONLY
    }
    if options.contains(.create) { flags |= O_CREAT }
    if options.contains(.exclusive) { flags |= O_EXCL }
    if options.contains(.truncate) { flags |= O_TRUNC }
    let isDirect = options.contains(.direct)
    let mode: mode_t = options.contains(.secret) ? 0o600 : 0o666
    var number = try await withPath(path) {
      await ring.perform(RingEntry.open($0, isDirect ? flags | O_DIRECT : flags, mode: mode))
    }
    if number == -EINVAL && isDirect {
      number = try await withPath(path) {
        await ring.perform(RingEntry.open($0, flags & ~O_EXCL, mode: mode))
      }
    }
    guard number >= 0 else { throw RoostError.system(-number, "open the file", at: path) }
    return RingFile(
      path: path, descriptor: Descriptor(number), ring: rings[turn.next(rings.count)], threads: threads,
      isDirect: isDirect)
  }

  public func exists(_ path: String) async throws(RoostError) -> Bool {
    let status = UnsafeMutablePointer<statx>.allocate(capacity: 1)
    defer { status.deallocate() }
    let result = try await withPath(path) { await ring.perform(RingEntry.status($0, into: status)) }
    if result == -ENOENT || result == -ENOTDIR { return false }
    guard result == 0 else { throw RoostError.system(-result, "look for the file", at: path) }
    return true
  }

  public func list(_ directory: String) async throws(RoostError) -> [String] {
    try refuseZeroByte(directory)
    let result: Result<[String], RoostError> = await threads.run { readNames(directory) }
    return try result.get()
  }

  public func makeDirectory(_ path: String) async throws(RoostError) {
    let result = try await withPath(path) { await ring.perform(RingEntry.makeDirectory($0)) }
    switch result {
    case 0: return
    case -EEXIST:
      guard try await isDirectory(path) else {
        throw RoostError.system(ENOTDIR, "create the folder", at: path)
      }
    case -ENOENT:
      guard let parent = parentPath(path) else {
        throw RoostError.system(ENOENT, "create the folder", at: path)
      }
      try await makeDirectory(parent)
      let second = try await withPath(path) { await ring.perform(RingEntry.makeDirectory($0)) }
      guard second == 0 || second == -EEXIST else {
        throw RoostError.system(-second, "create the folder", at: path)
      }
    default: throw RoostError.system(-result, "create the folder", at: path)
    }
  }

  public func rename(_ source: String, to target: String) async throws(RoostError) {
    try refuseZeroByte(target)
    let result = try await withPath(source) { source in
      await withCopy(of: target) { await ring.perform(RingEntry.rename(source, to: $0)) }
    }
    guard result == 0 else { throw RoostError.system(-result, "rename the file to \(target)", at: source) }
  }

  public func link(_ source: String, to target: String) async throws(RoostError) {
    try refuseZeroByte(target)
    let result = try await withPath(source) { source in
      await withCopy(of: target) { await ring.perform(RingEntry.link(source, to: $0)) }
    }
    guard result == 0 else { throw RoostError.system(-result, "link the file to \(target)", at: source) }
  }

  public func remove(_ path: String) async throws(RoostError) {
    let result = try await withPath(path) { await ring.perform(RingEntry.remove($0, isDirectory: false)) }
    guard result == 0 else { throw RoostError.system(-result, "remove the file", at: path) }
  }

  public func removeDirectory(_ path: String) async throws(RoostError) {
    let result = try await withPath(path) { await ring.perform(RingEntry.remove($0, isDirectory: true)) }
    guard result == 0 else { throw RoostError.system(-result, "remove the folder", at: path) }
  }

  public func syncDirectory(_ path: String) async throws(RoostError) {
    let number = try await withPath(path) {
      await ring.perform(RingEntry.open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC, mode: 0))
    }
    guard number >= 0 else { throw RoostError.system(-number, "open the folder", at: path) }
    let result = await ring.perform(RingEntry.sync(number, dataOnly: false))
    Glibc.close(number)
    guard result == 0 else { throw RoostError.system(-result, "make the folder durable", at: path) }
  }

  /// `flock(2)`: held by the open file, so it excludes other processes and other holders in this one, and
  /// ends with the process, however that ends. The holder's process id is written into the file for people.
  public func lock(_ path: String) async throws(RoostError) -> any FileLock {
    let number = try await withPath(path) {
      await ring.perform(RingEntry.open($0, O_RDWR | O_CREAT | O_CLOEXEC, mode: 0o666))
    }
    guard number >= 0 else { throw RoostError.system(-number, "open the lock file", at: path) }
    let descriptor = Descriptor(number)
    guard flock(number, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      guard code == EWOULDBLOCK else { throw RoostError.system(code, "lock the file", at: path) }
      let holder = readHolder(number).map { "process \($0)" } ?? "another process"
      throw RoostError(
        .locked, "\(holder) is using this folder", at: path, remedy: "stop it, or choose another folder")
    }
    let text = Array("\(getpid())\n".utf8)
    guard ftruncate(number, 0) == 0, pwrite(number, text, text.count, 0) == text.count else {
      throw RoostError.system(errno, "write the lock file", at: path)
    }
    return RingFileLock(descriptor)
  }

  public func makeScratch(_ path: String, count: Int) async throws(RoostError) -> AnonymousMemory {
    let number = try await withPath(path) {
      await ring.perform(RingEntry.open($0, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, mode: 0o600))
    }
    guard number >= 0 else { throw RoostError.system(-number, "create a scratch file", at: path) }
    let descriptor = Descriptor(number)
    try await remove(path)
    guard count > 0 else { return try AnonymousMemory(count: 0) }
    // Reserved now: a write into a mapping that finds the disk full would end the process.
    let code = await threads.run { posix_fallocate(descriptor.number, 0, off_t(count)) }
    guard code == 0 else {
      throw RoostError.system(code, "reserve \(count) bytes of scratch space", at: path)
    }
    let address = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.number, 0)
    guard let address, address != MAP_FAILED else {
      throw RoostError.system(errno, "map a scratch file", at: path)
    }
    let bits = UInt(bitPattern: address)
    return AnonymousMemory(adopting: address, count: count) {
      munmap(UnsafeMutableRawPointer(bitPattern: bits), count)
    }
  }

  private func isDirectory(_ path: String) async throws(RoostError) -> Bool {
    let status = UnsafeMutablePointer<statx>.allocate(capacity: 1)
    defer { status.deallocate() }
    status.initialize(to: statx())
    let result = try await withPath(path) { await ring.perform(RingEntry.status($0, into: status)) }
    return result == 0 && status.pointee.stx_mode & 0o170000 == 0o040000
  }

  /// Runs `body` with the path as a C string that outlives the operation.
  private func withPath(
    _ path: String, _ body: (UnsafePointer<CChar>) async -> Int32
  ) async throws(RoostError) -> Int32 {
    try refuseZeroByte(path)
    return await withCopy(of: path, body)
  }
}

private final class RingFileLock: FileLock {
  private let descriptor: Descriptor
  init(_ descriptor: Descriptor) { self.descriptor = descriptor }

  // Closing would do, were it not for a child between its fork and its exec: it holds the file open, too.
  deinit { _ = flock(descriptor.number, LOCK_UN) }
}

/// Deals out small numbers in turn.
private final class Turn: Sendable {
  private let count = Atomic<UInt>(0)
  func next(_ limit: Int) -> Int { Int(count.add(1, ordering: .relaxed).oldValue % UInt(limit)) }
}

private func withCopy(of path: String, _ body: (UnsafePointer<CChar>) async -> Int32) async -> Int32 {
  guard let copy = strdup(path) else { return -ENOMEM }
  defer { free(copy) }
  return await body(copy)
}

/// A zero byte would silently end the path for the kernel.
private func refuseZeroByte(_ path: String) throws(RoostError) {
  guard !path.isEmpty, !path.utf8.contains(0) else {
    throw RoostError(
      .invalidArgument, path.isEmpty ? "the path is empty" : "the path has a zero byte", at: path)
  }
}

private func parentPath(_ path: String) -> String? {
  var trimmed = path[...]
  while trimmed.count > 1 && trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
  guard let slash = trimmed.lastIndex(of: "/"), slash != trimmed.startIndex else { return nil }
  return String(trimmed[..<slash])
}

private func readHolder(_ number: Int32) -> Int32? {
  var text = [UInt8](repeating: 0, count: 16)
  let count = pread(number, &text, text.count, 0)
  guard count > 0 else { return nil }
  return Int32(String(decoding: text[..<count].prefix { $0 != 10 }, as: UTF8.self))
}

private func readNames(_ directory: String) -> Result<[String], RoostError> {
  guard let stream = opendir(directory) else {
    return .failure(RoostError.system(errno, "list the folder", at: directory))
  }
  defer { closedir(stream) }
  var names: [String] = []
  while true {
    errno = 0
    guard let entry = readdir(stream) else { break }
    let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
      field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != "." && name != ".." { names.append(name) }
  }
  guard errno == 0 else { return .failure(RoostError.system(errno, "list the folder", at: directory)) }
  return .success(names.sorted())
}
