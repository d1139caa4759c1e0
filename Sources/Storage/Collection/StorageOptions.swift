// Settings of an open collection. They may differ from one opening to the next.

import Core

/// When an acknowledged write is on disk.
public enum SyncPolicy: Sendable, Equatable {
  /// Before it is acknowledged (the default): survives power loss.
  case always
  /// At most this long after it is acknowledged.
  case interval(milliseconds: Int)
  /// When the system feels like it: survives the end of the process, not power loss.
  case none
}

public struct StorageOptions: Sendable {
  /// Vectors, graphs and caches use at most about this much memory: what fits is used in place from
  /// the mapping, the rest is read from disk page by page. A flush or a merge takes half as much again while
  /// it runs; what its vectors and edges need beyond that is in scratch files.
  public var memoryBytes: Int
  public var sync: SyncPolicy
  /// Records in a memtable before it is written out as a segment.
  public var memtableRows: Int
  /// Bytes of ids and payloads in a memtable before it is written out.
  public var memtableEntryBytes: Int
  /// Candidates kept while a new row is linked into a memtable's graph. Writes wait for it, so it is less
  /// than the effort of the collection; compaction links rows again with all of that. At most the
  /// collection's own effort is used.
  public var memtableEffort: Int
  /// Segments of similar size that are merged into one.
  public var segmentsPerTier: Int
  /// Merge segments in the background. Off, only `compact` merges.
  public var compactsAutomatically: Bool
  /// Which remembered deletes a merge may forget.
  public var tombstones: TombstonePolicy

  public init(
    memoryBytes: Int = 2 << 30, sync: SyncPolicy = .always, memtableRows: Int = 65_536,
    memtableEntryBytes: Int = 64 << 20, memtableEffort: Int = 64, segmentsPerTier: Int = 4,
    compactsAutomatically: Bool = true, tombstones: TombstonePolicy = .whenUnneeded
  ) {
    precondition(memtableRows > 0 && memtableEntryBytes > 0 && segmentsPerTier > 1)
    self.memoryBytes = memoryBytes
    self.sync = sync
    self.memtableRows = memtableRows
    self.memtableEntryBytes = memtableEntryBytes
    self.memtableEffort = memtableEffort
    self.segmentsPerTier = segmentsPerTier
    self.compactsAutomatically = compactsAutomatically
    self.tombstones = tombstones
  }

  /// Memory of the process that a flush or a merge may take.
  var workMemoryBytes: Int { memoryBytes / 2 }
}
