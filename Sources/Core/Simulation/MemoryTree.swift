// The names of a simulated disk: folders whose entries are durable only once the folder was synced.

/// A file or a folder, whatever names it has. Open files, names and pending changes hold it.
///
/// Safety of `@unchecked Sendable`: its mutable state is touched only under the lock of its `MemoryDisk`.
final class MemoryNode: @unchecked Sendable {
  let isDirectory: Bool
  var contents: MemoryContents
  /// Of a folder: what programs see, and what a power loss leaves.
  var entries: [String: MemoryNode] = [:]
  var durableEntries: [String: MemoryNode] = [:]
  var isLocked = false

  init(isDirectory: Bool, bytes: [UInt8] = []) {
    self.isDirectory = isDirectory
    contents = MemoryContents(bytes)
  }
}

/// The tree of names with the changes that no `syncDirectory` has covered yet.
struct MemoryTree {
  /// One change of names that happens as a whole or not at all (a rename is one).
  private struct Change {
    var removed: (directory: MemoryNode, name: String, node: MemoryNode)?
    var added: (directory: MemoryNode, name: String, node: MemoryNode)?

    func touches(_ directory: MemoryNode) -> Bool {
      removed?.directory === directory || added?.directory === directory
    }
  }

  private(set) var root = MemoryNode(isDirectory: true)
  private var pending: [Change] = []

  // MARK: - Looking up

  static func components(_ path: String) -> [String] {
    path.split(separator: "/").map(String.init).filter { $0 != "." }
  }

  /// What has gone wrong on the way to a name.
  enum Obstacle: Error { case notFound, notDirectory }

  func find(_ path: String) throws(Obstacle) -> MemoryNode {
    var node = root
    for name in MemoryTree.components(path) {
      guard node.isDirectory else { throw .notDirectory }
      guard let next = node.entries[name] else { throw .notFound }
      node = next
    }
    return node
  }

  /// The folder that holds (or would hold) the path's last name, and that name.
  func findParent(_ path: String) throws(Obstacle) -> (MemoryNode, String) {
    var names = MemoryTree.components(path)
    guard let last = names.popLast() else { throw .notFound }
    let parent = try find(names.joined(separator: "/"))
    guard parent.isDirectory else { throw .notDirectory }
    return (parent, last)
  }

  /// Paths of all files, sorted.
  var filePaths: [String] {
    var paths: [String] = []
    func visit(_ node: MemoryNode, _ prefix: String) {
      for (name, child) in node.entries {
        if child.isDirectory { visit(child, "\(prefix)/\(name)") } else { paths.append("\(prefix)/\(name)") }
      }
    }
    visit(root, "")
    return paths.sorted()
  }

  /// The sizes of all files together; a file with several names counts once.
  var usedBytes: Int {
    var seen = Set<ObjectIdentifier>()
    func visit(_ node: MemoryNode) -> Int {
      guard seen.insert(ObjectIdentifier(node)).inserted else { return 0 }
      return node.contents.count + node.entries.values.reduce(0) { $0 + visit($1) }
    }
    return visit(root)
  }

  // MARK: - Changing

  mutating func add(_ node: MemoryNode, as name: String, in directory: MemoryNode) {
    directory.entries[name] = node
    pending.append(Change(removed: nil, added: (directory, name, node)))
  }

  mutating func remove(_ name: String, from directory: MemoryNode) {
    guard let node = directory.entries.removeValue(forKey: name) else { return }
    pending.append(Change(removed: (directory, name, node), added: nil))
  }

  mutating func move(
    _ name: String, from directory: MemoryNode, to newName: String, in newDirectory: MemoryNode
  ) {
    guard let node = directory.entries.removeValue(forKey: name) else { return }
    newDirectory.entries[newName] = node
    pending.append(Change(removed: (directory, name, node), added: (newDirectory, newName, node)))
  }

  /// Makes every change that concerns the folder durable.
  mutating func sync(_ directory: MemoryNode) {
    var rest: [Change] = []
    for change in pending {
      guard change.touches(directory) else {
        rest.append(change)
        continue
      }
      if let (directory, name, node) = change.removed, directory.durableEntries[name] === node {
        directory.durableEntries[name] = nil
      }
      if let (directory, name, node) = change.added { directory.durableEntries[name] = node }
    }
    pending = rest
  }

  // MARK: - Power loss

  /// The tree as a power loss leaves it; everything in it is durable. Shares nothing with this one.
  func afterPowerLoss(_ survival: Survival) -> MemoryTree {
    var entries: [ObjectIdentifier: [String: MemoryNode]] = [:]
    var random = SplitMix64(seed: 0)
    var prefix = pending.count
    var isOrdered = true
    switch survival {
    case .nothing: prefix = 0
    case .everything: break
    case .seed(let seed):
      random = SplitMix64(seed: seed)
      isOrdered = random.next() & 1 == 0
      if isOrdered { prefix = Int.random(in: 0...pending.count, using: &random) }
    }
    for (index, change) in pending.enumerated() {
      guard isOrdered ? index < prefix : random.next() & 1 == 0 else { continue }
      if let (directory, name, node) = change.removed {
        let key = ObjectIdentifier(directory)
        if entries[key, default: directory.durableEntries][name] === node {
          entries[key, default: directory.durableEntries][name] = nil
        }
      }
      if let (directory, name, node) = change.added {
        entries[ObjectIdentifier(directory), default: directory.durableEntries][name] = node
      }
    }
    var copies: [ObjectIdentifier: MemoryNode] = [:]
    func copy(_ node: MemoryNode) -> MemoryNode {
      if let done = copies[ObjectIdentifier(node)] { return done }
      let contentSurvival: Survival = if case .seed = survival { .seed(random.next()) } else { survival }
      let bytes = node.contents.afterPowerLoss(contentSurvival)
      let result = MemoryNode(isDirectory: node.isDirectory, bytes: bytes)
      copies[ObjectIdentifier(node)] = result
      // In the order of names, because the seed must decide the same every time.
      for (name, child) in (entries[ObjectIdentifier(node)] ?? node.durableEntries).sorted(by: {
        $0.key < $1.key
      }) {
        result.entries[name] = copy(child)
      }
      result.durableEntries = result.entries
      return result
    }
    var tree = MemoryTree()
    tree.root = copy(root)
    return tree
  }
}
