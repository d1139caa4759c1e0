// What the registry knows, as a value: the versions of each module and which of them serve. Every change is
// a function from one table to the next; files, compiled code and clocks are `ModuleRegistry`'s.

import Core
import Wire

/// One published content of a module.
struct ModuleRelease: Sendable, Equatable {
  /// Counts from 1 within the module.
  var number: UInt32
  var kind: ModuleKind
  var byteCount: UInt64
  var digest: Digest
  var model: Digest?
  var exports: [String]
  var signature: ModuleSignature?
  var published: Version

  func statement(name: String) -> ModuleStatement {
    ModuleStatement(name: name, kind: kind, module: digest, model: model)
  }
}

/// A module: its versions, and who gets which.
struct ModuleEntry: Sendable, Equatable {
  /// Ascending by number; never empty.
  var releases: [ModuleRelease]
  /// Numbers are not given twice, even when versions have been deleted.
  var nextNumber: UInt32
  var current: UInt32?
  /// What was current before, the latest last.
  var previous: [UInt32] = []
  var canary: ModuleCanary?
  var isPinned = false
  /// Raw value of `WasmCapabilities`.
  var grants: UInt16
  var quota = ModuleQuota.unlimited
  /// What the key-value capability reads.
  var state = Payload()
  /// When any of this changed last; the later change wins where two nodes disagree.
  var changed: Version

  func release(_ number: UInt32) -> ModuleRelease? { releases.first { $0.number == number } }

  /// Makes a version current and remembers which one was.
  fileprivate mutating func makeCurrent(_ number: UInt32) {
    guard current != number else { return }
    if let current {
      previous.removeAll { $0 == current || $0 == number }
      previous.append(current)
      if previous.count > RegistryTable.previousMax { previous.removeFirst() }
    }
    current = number
    if canary?.version == number { canary = nil }
  }

  fileprivate mutating func remove(_ number: UInt32) {
    releases.removeAll { $0.number == number }
    previous.removeAll { $0 == number }
    if canary?.version == number { canary = nil }
  }
}

struct RegistryTable: Sendable, Equatable {
  static let modulesMax = 256
  static let versionsMax = 32
  static let previousMax = 16

  var entries: [String: ModuleEntry] = [:]

  /// Every content that some version has.
  var digests: Set<Digest> { Set(entries.values.flatMap { $0.releases.map(\.digest) }) }

  func entry(_ name: String) throws(RoostError) -> ModuleEntry {
    guard let entry = entries[name] else {
      throw RoostError(
        .notFound, "there is no module '\(name.prefix(80))'", at: "module \(name.prefix(80))",
        remedy: "publish it with `roost module publish`; `roost module list` shows what there is")
    }
    return entry
  }

  // MARK: Which version

  /// The version that a request gets.
  /// - Parameter share: the request's place among a hundred, 0 to 99; see `RequestShare`.
  func find(_ selector: ModuleSelector, share: Int) throws(RoostError) -> ModuleRelease {
    let entry = try entry(selector.name)
    switch selector.choice {
    case .shared:
      if let canary = entry.canary, share < Int(canary.percent) {
        return try find(.number(canary.version), of: selector.name, in: entry)
      }
      return try find(.current, of: selector.name, in: entry)
    case let choice: return try find(choice, of: selector.name, in: entry)
    }
  }

  /// The version that the operator, or a query, names.
  func find(
    _ choice: ModuleSelector.Choice, of name: String, in entry: ModuleEntry
  ) throws(RoostError) -> ModuleRelease {
    let found: [ModuleRelease]
    switch choice {
    case .shared, .current: found = entry.releases.filter { $0.number == entry.current }
    case .canary: found = entry.releases.filter { $0.number == entry.canary?.version }
    case .number(let number): found = entry.releases.filter { $0.number == number }
    case .digest(let digits): found = entry.releases.filter { $0.digest.text.hasPrefix(digits) }
    }
    guard let release = found.first else {
      let what =
        switch choice {
        case .shared, .current: "no current version"
        case .canary: "no canary"
        case .number(let number): "no version \(number)"
        case .digest(let digits): "no version with the digest \(digits)"
        }
      let numbers = entry.releases.map { "\($0.number)" }.joined(separator: ", ")
      throw RoostError(
        .notFound, "module '\(name)' has \(what)", at: "module \(name)",
        remedy: "its versions are \(numbers); `roost module inspect \(name)` shows them")
    }
    guard found.count == 1 else {
      throw RoostError(
        .invalidArgument, "more than one version of module '\(name)' has a digest that begins so",
        at: "module \(name)", remedy: "write more of its digits")
    }
    return release
  }

  // MARK: Changes

  /// Adds a version, or finds the one that has this content, and places it. Returns its number.
  ///
  /// Beyond `versionsMax` the oldest version goes that neither serves, nor is the next to roll back
  /// to, nor is in `used`.
  mutating func publish(
    _ name: String, _ release: ModuleRelease, placement: ModulePlacement, grants: UInt16,
    keeping used: Set<Digest> = []
  ) throws(RoostError) -> UInt32 {
    var entry =
      entries[name]
      ?? ModuleEntry(releases: [], nextNumber: 1, current: nil, grants: grants, changed: release.published)
    guard entries[name] != nil || entries.count < RegistryTable.modulesMax else {
      throw RoostError(
        .limitExceeded, "there are \(RegistryTable.modulesMax) modules, the limit is reached",
        at: "module \(name)", remedy: "delete one with `roost module delete`")
    }
    if let other = entry.releases.first(where: { $0.kind != release.kind }) {
      throw RoostError(
        .invalidArgument,
        "version \(other.number) of module '\(name)' is of kind \(other.kind.name), this one of kind "
          + release.kind.name,
        at: "module \(name)", remedy: "publish it under another name, or delete the module first")
    }
    let before = entry
    let number: UInt32
    if let index = entry.releases.firstIndex(where: { $0.digest == release.digest }) {
      number = entry.releases[index].number
      // A signature may come later than the module.
      if let signature = release.signature { entry.releases[index].signature = signature }
    } else {
      number = entry.nextNumber
      entry.nextNumber += 1
      var release = release
      release.number = number
      entry.releases.append(release)
    }
    switch placement {
    case .current: if !entry.isPinned { entry.makeCurrent(number) }
    case .staged: break
    case .canary(let percent):
      try RegistryTable.refuseCanary(release, name)
      guard entry.current != number else {
        throw RoostError(
          .invalidArgument, "version \(number) of module '\(name)' is current already", at: "module \(name)",
          remedy: "make another version current first")
      }
      entry.canary = ModuleCanary(version: number, percent: percent)
    }
    while entry.releases.count > RegistryTable.versionsMax {
      let kept: Set<UInt32?> = [entry.current, entry.canary?.version, entry.previous.last, number]
      guard
        let oldest = entry.releases.first(where: { !kept.contains($0.number) && !used.contains($0.digest) })
      else { break }
      entry.remove(oldest.number)
    }
    if entry != before { entry.changed = release.published }
    entries[name] = entry
    return number
  }

  /// Throws `.notFound` or `.invalidArgument` for what cannot be done; the table is then as before.
  mutating func change(
    _ name: String, _ change: ModuleChange, at version: Version, keeping used: Set<Digest> = []
  ) throws(RoostError) {
    var entry = try entry(name)
    func refuse(_ message: String, _ remedy: String = "") -> RoostError {
      RoostError(.invalidArgument, "module '\(name)' \(message)", at: "module \(name)", remedy: remedy)
    }
    switch change {
    case .pin(let choice):
      entry.makeCurrent(try find(choice ?? .current, of: name, in: entry).number)
      entry.isPinned = true
    case .unpin: entry.isPinned = false
    case .rollBack:
      guard let last = entry.previous.popLast() else {
        throw refuse("has had no other current version", "pin the version that you want")
      }
      let bad = entry.current
      entry.makeCurrent(last)
      // The version that was left is not one to come back to.
      entry.previous.removeAll { $0 == bad }
    case .canary(let choice, let percent):
      let release = try find(choice, of: name, in: entry)
      try RegistryTable.refuseCanary(release, name)
      let number = release.number
      guard entry.current != number else {
        throw refuse("has version \(number) as its current one", "try another version")
      }
      entry.canary = ModuleCanary(version: number, percent: percent)
    case .endCanary: entry.canary = nil
    case .promote:
      guard let canary = entry.canary else { throw refuse("has no canary to promote") }
      guard !entry.isPinned else { throw refuse("is pinned", "unpin it first, or pin the canary's version") }
      entry.makeCurrent(canary.version)
      entry.canary = nil
    case .delete(nil):
      entries[name] = nil
      return
    case .delete(let choice?):
      let release = try find(choice, of: name, in: entry)
      let number = release.number
      guard !used.contains(release.digest) else {
        throw refuse(
          "has made the vectors of a collection by version \(number)",
          "wait until it has been embedded anew; `roost stats COLLECTION` shows how far that is")
      }
      guard entry.current != number else {
        throw refuse("serves version \(number)", "make another version current, or delete the whole module")
      }
      entry.remove(number)
      guard !entry.releases.isEmpty else {
        entries[name] = nil
        return
      }
    case .grant: preconditionFailure("grants come as bits")
    case .quota(let quota): entry.quota = quota
    case .state(let state):
      try state.validate()
      entry.state = state
    }
    entry.changed = version
    entries[name] = entry
  }

  private static func refuseCanary(_ release: ModuleRelease, _ name: String) throws(RoostError) {
    guard release.kind == .embedder else { return }
    throw RoostError(
      .invalidArgument, "module '\(name)' makes vectors, and those of two versions cannot be compared",
      at: "module \(name)", remedy: "publish it staged, and try it on a collection of its own")
  }

  mutating func grant(_ grants: UInt16, to name: String, at version: Version) throws(RoostError) {
    var entry = try entry(name)
    entry.grants = grants
    entry.changed = version
    entries[name] = entry
  }
}
