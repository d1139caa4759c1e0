// A disk in memory that fails and loses power on command: the file system of crash tests and simulation.

import Synchronization

/// A file system in memory that keeps apart what programs see and what is durable. File data becomes durable
/// with `File.sync`, names (created, renamed, linked, removed) with `syncDirectory` of their folder, as
/// strictly as POSIX allows. Everything is decided by the seed and the order of calls.
public final class MemoryDisk: FileSystem {
  struct State {
    var tree = MemoryTree()
    var faults: FaultPlan
    var random: SplitMix64
    var changeCount = 0
    var readCount = 0
    var hasCrashed = false
    var isReadOnly = false
    var capacity: Int?
  }

  /// How long operations take: a clock to sleep by and the range to draw from. Without it they
  /// complete at once, without suspending.
  public struct Latency: Sendable {
    public var clock: any Clock
    public var nanos: ClosedRange<UInt64>

    public init(clock: any Clock, nanos: ClosedRange<UInt64>) {
      self.clock = clock
      self.nanos = nanos
    }
  }

  let state: Mutex<State>
  private let latency: Latency?

  /// - Parameters:
  ///   - directories: folders that exist, durably, from the start (with their parents).
  public init(
    seed: UInt64 = 0, faults: FaultPlan = .none, directories: [String] = [], latency: Latency? = nil
  ) {
    let state = State(faults: faults, random: SplitMix64(seed: seed))
    for path in directories {
      var node = state.tree.root
      for name in MemoryTree.components(path) {
        let next = node.entries[name] ?? MemoryNode(isDirectory: true)
        node.entries[name] = next
        node.durableEntries[name] = next
        node = next
      }
    }
    self.state = Mutex(state)
    self.latency = latency
  }

  private init(_ state: sending State, latency: Latency?) {
    self.state = Mutex(state)
    self.latency = latency
  }

  // MARK: - For tests

  /// Changes so far; the numbers that `FaultPlan` counts by.
  public var changeCount: Int { state.withLock { $0.changeCount } }
  public var readCount: Int { state.withLock { $0.readCount } }
  public var hasCrashed: Bool { state.withLock { $0.hasCrashed } }
  /// Paths of all files, sorted.
  public var filePaths: [String] { state.withLock { $0.tree.filePaths } }

  public func setFaults(_ faults: FaultPlan) { state.withLock { $0.faults = faults } }
  /// Changes throw `.readOnly` from now on.
  public func setReadOnly(_ isReadOnly: Bool) { state.withLock { $0.isReadOnly = isReadOnly } }
  /// Writes that would make all files together larger than this throw `.noSpace`.
  public func setCapacity(_ bytes: Int?) { state.withLock { $0.capacity = bytes } }

  /// The power goes now: every later call throws `.io`.
  public func crash() { state.withLock { $0.hasCrashed = true } }

  /// A new disk with what a power loss at this moment leaves. Numbering starts again; no faults.
  public func afterCrash(_ survival: Survival, faults: FaultPlan = .none) -> MemoryDisk {
    let next = state.withLock { state in
      var seed: UInt64 = 0
      if case .seed(let given) = survival { seed = given }
      var next = State(faults: faults, random: SplitMix64(seed: seed ^ 0x6469_736b))
      next.tree = state.tree.afterPowerLoss(survival)
      next.capacity = state.capacity
      return next
    }
    return MemoryDisk(next, latency: latency)
  }

  /// What a reader of the file would see; nil when there is none.
  public func contents(of path: String) -> [UInt8]? {
    state.withLock { state in
      guard let node = try? state.tree.find(path), !node.isDirectory else { return nil }
      return node.contents.current
    }
  }

  /// Flips one bit (0 to 7) of the byte at `offset`, in memory and on the disk. The byte must exist.
  public func corrupt(_ path: String, offset: Int, bit: Int) {
    state.withLock { state in
      guard let node = try? state.tree.find(path), offset < node.contents.count, (0..<8).contains(bit) else {
        preconditionFailure("there is no byte \(offset) in \(path)")
      }
      node.contents.flipBit(at: offset, bit: bit)
    }
  }

  // MARK: - FileSystem

  public func open(_ path: String, _ options: OpenOptions) async throws(RoostError) -> any File {
    precondition(!options.isDisjoint(with: [.read, .write]), "open for reading, writing or both")
    let node = try await perform { (state) throws(RoostError) in
      let (parent, name) = try lookUp("open the file", path) { () throws(MemoryTree.Obstacle) in
        try state.tree.findParent(path)
      }
      guard let node = parent.entries[name] else {
        guard options.contains(.create) else { throw memoryError(.notFound, "open the file", path) }
        let fault = try state.begin(.create, path)
        let node = MemoryNode(isDirectory: false)
        state.tree.add(node, as: name, in: parent)
        try state.end(fault, path)
        return node
      }
      if options.isSuperset(of: [.create, .exclusive]) {
        throw memoryError(.alreadyExists, "open the file", path)
      }
      if node.isDirectory { throw memoryError(.io, "open a folder as a file", path) }
      if options.contains(.truncate) && node.contents.count > 0 {
        let fault = try state.begin(.other, path)
        node.contents.truncate(to: 0)
        try state.end(fault, path)
      }
      return node
    }
    return MemoryFile(disk: self, node: node, path: path, options: options)
  }

  public func exists(_ path: String) async throws(RoostError) -> Bool {
    try await perform { (state) throws(RoostError) in (try? state.tree.find(path)) != nil }
  }

  public func list(_ directory: String) async throws(RoostError) -> [String] {
    try await perform { (state) throws(RoostError) in
      try findDirectory("list the folder", directory, state).entries.keys.sorted()
    }
  }

  public func makeDirectory(_ path: String) async throws(RoostError) {
    try await perform { (state) throws(RoostError) in
      var node = state.tree.root
      for name in MemoryTree.components(path) {
        guard node.isDirectory else { throw memoryError(.io, "create the folder", path) }
        if let next = node.entries[name] {
          node = next
          continue
        }
        let fault = try state.begin(.create, path)
        let next = MemoryNode(isDirectory: true)
        state.tree.add(next, as: name, in: node)
        try state.end(fault, path)
        node = next
      }
      guard node.isDirectory else { throw memoryError(.io, "create the folder", path) }
    }
  }

  public func rename(_ source: String, to target: String) async throws(RoostError) {
    try await perform { (state) throws(RoostError) in
      let (parent, name) = try findParent("rename the file", source, state)
      guard let node = parent.entries[name] else { throw memoryError(.notFound, "rename the file", source) }
      let (newParent, newName) = try findParent("rename the file", target, state)
      if let old = newParent.entries[newName] {
        if old === node { return }
        guard old.isDirectory == node.isDirectory else { throw memoryError(.io, "rename the file", target) }
        guard old.entries.isEmpty else {
          throw memoryError(.invalidArgument, "replace a folder in use", target)
        }
      }
      let fault = try state.begin(.other, source)
      state.tree.move(name, from: parent, to: newName, in: newParent)
      try state.end(fault, source)
    }
  }

  public func link(_ source: String, to target: String) async throws(RoostError) {
    try await perform { (state) throws(RoostError) in
      let node = try lookUp("link the file", source) { () throws(MemoryTree.Obstacle) in
        try state.tree.find(source)
      }
      if node.isDirectory { throw memoryError(.permissionDenied, "link a folder", source) }
      let (parent, name) = try findParent("link the file", target, state)
      guard parent.entries[name] == nil else { throw memoryError(.alreadyExists, "link the file", target) }
      let fault = try state.begin(.create, source)
      state.tree.add(node, as: name, in: parent)
      try state.end(fault, source)
    }
  }

  public func remove(_ path: String) async throws(RoostError) {
    try await perform { (state) throws(RoostError) in
      let (parent, name) = try findParent("remove the file", path, state)
      guard let node = parent.entries[name] else { throw memoryError(.notFound, "remove the file", path) }
      if node.isDirectory { throw memoryError(.io, "remove a folder as a file", path) }
      let fault = try state.begin(.other, path)
      state.tree.remove(name, from: parent)
      try state.end(fault, path)
    }
  }

  public func removeDirectory(_ path: String) async throws(RoostError) {
    try await perform { (state) throws(RoostError) in
      let (parent, name) = try findParent("remove the folder", path, state)
      guard let node = parent.entries[name] else { throw memoryError(.notFound, "remove the folder", path) }
      guard node.isDirectory else { throw memoryError(.io, "remove a file as a folder", path) }
      guard node.entries.isEmpty else { throw memoryError(.invalidArgument, "remove a folder in use", path) }
      let fault = try state.begin(.other, path)
      state.tree.remove(name, from: parent)
      try state.end(fault, path)
    }
  }

  public func syncDirectory(_ path: String) async throws(RoostError) {
    try await perform { (state) throws(RoostError) in
      let node = try findDirectory("make the folder durable", path, state)
      let fault = try state.begin(.sync, path)
      if fault == .failSync { throw memoryError(.io, "make the folder durable", path) }
      if fault == nil { state.tree.sync(node) }
      try state.end(fault, path)
    }
  }

  /// Counts as a change, and as space that is taken at this moment.
  public func makeScratch(_ path: String, count: Int) async throws(RoostError) -> AnonymousMemory {
    try await perform { (state) throws(RoostError) in
      _ = try findParent("create the file", path, state)
      let fault = try state.begin(.create, path)
      if let capacity = state.capacity, state.tree.usedBytes + count > capacity {
        throw memoryError(.noSpace, "create a scratch file", path)
      }
      try state.end(fault, path)
    }
    return try AnonymousMemory(count: count)
  }

  public func lock(_ path: String) async throws(RoostError) -> any FileLock {
    let node = try await perform { (state) throws(RoostError) in
      let (parent, name) = try findParent("lock the file", path, state)
      if let node = parent.entries[name] {
        if node.isDirectory { throw memoryError(.io, "lock a folder", path) }
        guard !node.isLocked else {
          throw RoostError(
            .locked, "another holder is using this folder", at: path,
            remedy: "stop it, or choose another folder")
        }
        node.isLocked = true
        return node
      }
      let fault = try state.begin(.create, path)
      let node = MemoryNode(isDirectory: false)
      state.tree.add(node, as: name, in: parent)
      try state.end(fault, path)
      node.isLocked = true
      return node
    }
    return MemoryLock(disk: self, node: node)
  }

  // MARK: - Shared with open files

  /// Takes its time, then runs `body` as one indivisible step, unless the power is off.
  func perform<T: Sendable>(
    _ body: (inout State) throws(RoostError) -> T
  ) async throws(RoostError) -> T {
    if let latency {
      let nanos = state.withLock { UInt64.random(in: latency.nanos, using: &$0.random) }
      // A disk does not stop because a task was cancelled.
      try? await latency.clock.sleep(nanos: nanos)
    }
    return try performNow(body)
  }

  func performNow<T: Sendable>(_ body: (inout State) throws(RoostError) -> T) throws(RoostError) -> T {
    try state.withLock { (state) throws(RoostError) in
      if state.hasCrashed { throw powerLost }
      return try body(&state)
    }
  }
}

extension MemoryDisk.State {
  /// Counts one change and decides its fate; throws the faults that prevent it as a whole. The caller carries
  /// out what is left of it and passes the fault to `end`.
  mutating func begin(_ kind: OperationKind, _ path: String) throws(RoostError) -> FaultPlan.Fault? {
    if isReadOnly { throw memoryError(.readOnly, "change anything", path) }
    let fault = faults.fault(of: kind, number: changeCount, path: path, random: &random)
    changeCount += 1
    if fault == .fail { throw memoryError(.io, "complete the operation", path) }
    if fault == .noSpace && kind == .create { throw memoryError(.noSpace, "create anything", path) }
    return fault
  }

  mutating func end(_ fault: FaultPlan.Fault?, _ path: String) throws(RoostError) {
    guard fault == .crash else { return }
    hasCrashed = true
    throw powerLost
  }

  mutating func beginRead(_ path: String) throws(RoostError) -> FaultPlan.Fault? {
    let fault = faults.fault(of: .read, number: readCount, path: path, random: &random)
    readCount += 1
    if fault == .failRead { throw memoryError(.io, "read the file", path) }
    if fault == .shortRead { throw memoryError(.io, "read all of it", path) }
    return fault
  }
}

/// Held until the last reference goes.
private final class MemoryLock: FileLock {
  private let disk: MemoryDisk
  private let node: MemoryNode

  init(disk: MemoryDisk, node: MemoryNode) {
    self.disk = disk
    self.node = node
  }

  deinit { disk.state.withLock { _ in node.isLocked = false } }
}

var powerLost: RoostError { RoostError(.io, "the power is off", at: "simulated disk") }

func memoryError(_ kind: RoostError.Kind, _ action: String, _ path: String) -> RoostError {
  RoostError(kind, "cannot \(action) (simulated disk)", at: path)
}

private func lookUp<T>(
  _ action: String, _ path: String, _ body: () throws(MemoryTree.Obstacle) -> T
) throws(RoostError) -> T {
  do throws(MemoryTree.Obstacle) {
    return try body()
  } catch {
    throw memoryError(error == .notFound ? .notFound : .io, action, path)
  }
}

private func findParent(
  _ action: String, _ path: String, _ state: MemoryDisk.State
) throws(RoostError) -> (MemoryNode, String) {
  try lookUp(action, path) { () throws(MemoryTree.Obstacle) in try state.tree.findParent(path) }
}

private func findDirectory(
  _ action: String, _ path: String, _ state: MemoryDisk.State
) throws(RoostError) -> MemoryNode {
  let node = try lookUp(action, path) { () throws(MemoryTree.Obstacle) in try state.tree.find(path) }
  guard node.isDirectory else { throw memoryError(.io, action, path) }
  return node
}
