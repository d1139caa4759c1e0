// What goes wrong on a simulated disk, and when.

/// Faults of a `MemoryDisk`. Operations are numbered from 0 in two separate counts: changes (creating,
/// writing, syncing, truncating, naming) and reads. A test runs its scenario once, asks the disk for the
/// counts, and then lets it fail at every single one.
public struct FaultPlan: Sendable {
  public enum Fault: Sendable, Equatable {
    /// Any change: throws `.io`, and nothing of it happens.
    case fail
    /// A write or a creation: throws `.noSpace`; of a write some leading sectors may have arrived.
    case noSpace
    /// A write: some of its sectors arrive, then it throws `.io`.
    case tornWrite
    /// A sync of a file: throws `.io`. What was not durable may or may not be, and a later sync that
    /// succeeds does not help (Linux marks the pages clean). A sync of a folder: throws, nothing is durable.
    case failSync
    /// A sync reports success and does nothing, as a disk with a lying cache; a later sync is honest.
    case loseSync
    /// Any change: the power goes in the middle of it. It and everything later throws `.io`; see
    /// `MemoryDisk.afterCrash`.
    case crash
    /// A read throws `.io`.
    case failRead
    /// The device gives less than was asked for and will not give the rest: throws `.io`.
    case shortRead
    /// One bit of what is read is wrong; the next read is right again.
    case flipBit

    var concernsReads: Bool { self == .failRead || self == .shortRead || self == .flipBit }
  }

  public enum Trigger: Sendable {
    /// The operation with this number in its count.
    case at(Int)
    /// The operation with this number and all after it.
    case from(Int)
    /// Each operation with this probability, decided by the disk's seed.
    case probability(Double)
  }

  public struct Rule: Sendable {
    public var fault: Fault
    public var trigger: Trigger
    /// Only operations on paths that contain this; nil for all.
    public var pathContains: String?

    public init(_ fault: Fault, _ trigger: Trigger, pathContains: String? = nil) {
      self.fault = fault
      self.trigger = trigger
      self.pathContains = pathContains
    }
  }

  /// The first rule that applies wins.
  public var rules: [Rule]

  public init(_ rules: [Rule] = []) { self.rules = rules }

  public static let none = FaultPlan()
  public static func crashAt(_ operation: Int) -> FaultPlan { FaultPlan([Rule(.crash, .at(operation))]) }
  public static func at(_ operation: Int, _ fault: Fault) -> FaultPlan {
    FaultPlan([Rule(fault, .at(operation))])
  }

  /// The fault of one operation. `kind` says which faults make sense for it.
  func fault(
    of kind: OperationKind, number: Int, path: String, random: inout SplitMix64
  ) -> Fault? {
    for rule in rules where kind.admits(rule.fault) {
      if let part = rule.pathContains, !path.contains(part) { continue }
      switch rule.trigger {
      case .at(let wanted): if number == wanted { return rule.fault }
      case .from(let first): if number >= first { return rule.fault }
      case .probability(let chance):
        if Double.random(in: 0..<1, using: &random) < chance { return rule.fault }
      }
    }
    return nil
  }
}

/// The operations of a disk as far as faults tell them apart.
enum OperationKind {
  case read, write, create, sync, other

  func admits(_ fault: FaultPlan.Fault) -> Bool {
    switch fault {
    case .failRead, .shortRead, .flipBit: self == .read
    case .fail, .crash: self != .read
    case .noSpace: self == .write || self == .create
    case .tornWrite: self == .write
    case .failSync, .loseSync: self == .sync
    }
  }
}

/// How much of what was never synced outlives a power loss. What was synced always does.
public enum Survival: Sendable {
  /// Each sector and each name decides for itself, by this seed.
  case seed(UInt64)
  case nothing
  case everything
}
