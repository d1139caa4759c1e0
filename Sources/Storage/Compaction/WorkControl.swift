// Steering a flush or a merge from outside: how far it is, stopping it, and making way for searches.

import Core
import Synchronization

/// What background work is going on.
public struct MaintenanceProgress: Sendable, Equatable {
  public enum Kind: String, Sendable {
    case flush
    case merge
    case verify
  }
  public var kind: Kind
  /// From 0 to 1.
  public var fraction: Double
  /// Records that the work is about.
  public var records: Int
}

/// One flush or merge. Its steps report here, ask whether to go on, and make way while searches run: they pause
/// between pieces, unless the work is urgent, because writers wait for it.
final class WorkControl: Sendable {
  /// Linking a row takes this many times as long as writing it.
  static let linkingUnits = 16
  /// Of the time in which searches run, background work takes at most this share of a worker.
  private static let busyShare = 0.5

  let kind: MaintenanceProgress.Kind
  private let place: String
  private let clock: any Clock
  private let load: SearchLoad
  private let isUrgent: @Sendable () -> Bool
  private let records = Atomic<Int>(0)
  private let done = Atomic<Int>(0)
  private let total = Atomic<Int>(1)
  private let isAsked = Atomic<Bool>(false)

  init(
    _ kind: MaintenanceProgress.Kind, place: String, clock: any Clock, load: SearchLoad,
    isUrgent: @escaping @Sendable () -> Bool = { false }
  ) {
    self.kind = kind
    self.place = place
    self.clock = clock
    self.load = load
    self.isUrgent = isUrgent
  }

  /// Says how much there is to do.
  func begin(records: Int, linking: Int) {
    self.records.store(records, ordering: .relaxed)
    total.store(max(1, records + linking * Self.linkingUnits), ordering: .relaxed)
  }

  /// So many units are done: rows written, or rows linked times `linkingUnits`.
  func advance(_ units: Int) { done.add(units, ordering: .relaxed) }

  var progress: MaintenanceProgress {
    let fraction = Double(done.load(ordering: .relaxed)) / Double(total.load(ordering: .relaxed))
    return MaintenanceProgress(
      kind: kind, fraction: min(fraction, 1), records: records.load(ordering: .relaxed))
  }

  /// The work ends soon, having changed nothing.
  func stop() { isAsked.store(true, ordering: .relaxed) }

  /// Whether somebody has stopped the work or cancelled the calling task.
  var isStopped: Bool { isAsked.load(ordering: .relaxed) || Task.isCancelled }

  func check() throws(RoostError) {
    if isStopped { throw RoostError(.cancelled, "the \(kind.rawValue) was stopped", at: place) }
  }

  var nowNanos: UInt64 { clock.monotonicNanos() }

  /// Called between pieces of work: while searches run, waits so long that the piece that took since `start`
  /// keeps to its share.
  func makeWay(since start: UInt64) async {
    let now = nowNanos
    guard now > start, load.isBusy(now), !isUrgent() else { return }
    let pause = Double(now - start) * (1 / Self.busyShare - 1)
    try? await clock.sleep(nanos: UInt64(pause))
  }
}

/// Whether anybody searches.
final class SearchLoad: Sendable {
  /// So long after a search another one is expected.
  private static let memoryNanos: UInt64 = 1_000_000_000

  private let running = Atomic<Int>(0)
  private let lastNanos = Atomic<UInt64>(0)

  func begin() { running.add(1, ordering: .relaxed) }

  func end(at nanos: UInt64) {
    lastNanos.store(nanos, ordering: .relaxed)
    running.subtract(1, ordering: .relaxed)
  }

  func isBusy(_ now: UInt64) -> Bool {
    if running.load(ordering: .relaxed) > 0 { return true }
    let last = lastNanos.load(ordering: .relaxed)
    return last > 0 && now < last &+ Self.memoryNanos
  }
}
