// Checks every byte of a closed collection, and that its parts agree with each other.

import Core

/// What a verification has seen.
public struct VerifyReport: Sendable {
  public var files = 0
  public var bytes: UInt64 = 0
  public var records = 0
  /// Unacknowledged bytes at the end of a log that a crash left; harmless, cut at the next opening.
  public var tornBytes: UInt64 = 0
  /// Each names file and offset. Empty when all is well.
  public var problems: [RoostError] = []

  public var isSound: Bool { problems.isEmpty }
}

extension Collection {
  /// Verifies a collection that nobody has open. Changes nothing.
  /// - Parameter progress: called with the share that has been checked, from 0 to 1, on any thread.
  /// - Throws: `.notFound` or `.locked`; damage is reported, not thrown.
  public static func verify(
    _ path: String, runtime: Runtime, progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) async throws(RoostError) -> VerifyReport {
    let files = runtime.files
    guard try await files.exists(path) else {
      throw RoostError(.notFound, "there is no such folder", at: path, remedy: "check the path")
    }
    let lock = try await files.lock(path + "/" + lockName)
    defer { withExtendedLifetime(lock) {} }
    var report = VerifyReport()
    let loaded: Manifest.Loaded
    let clean: CleanMarker?
    do throws(RoostError) {
      clean = try await CleanMarker.read(directory: path, files: files)
      loaded = try await Manifest.load(path, clean: clean, files: files)
    } catch {
      report.problems.append(error)
      return report
    }
    report.files += clean == nil ? 2 : 3
    report.bytes += loaded.outcome.length
    report.tornBytes += loaded.outcome.tornBytes
    let segments = loaded.state.segments.sorted { $0.key < $1.key }
    for (index, (number, dead)) in segments.enumerated() {
      let part = 1 / Double(segments.count + 1)
      do throws(RoostError) {
        try await verifySegment(
          path + "/" + FileName.segment(number), number: number, dead: dead, schema: loaded.state.schema,
          runtime: runtime, report: &report
        ) { progress((Double(index) + $0) * part) }
      } catch { report.problems.append(error) }
    }
    do throws(RoostError) {
      try await verifyLogs(path, loaded, clean: clean, files: files, report: &report)
    } catch { report.problems.append(error) }
    progress(1)
    return report
  }

  private static func verifySegment(
    _ path: String, number: UInt64, dead: [UInt32], schema: CollectionSchema, runtime: Runtime,
    report: inout VerifyReport, progress: @escaping @Sendable (Double) -> Void
  ) async throws(RoostError) {
    let segment = try await Segment.open(
      path, number: number, schema: schema, mapped: true,
      memory: try CollectionMemory(totalBytes: 16 << 20, schema: schema),
      files: runtime.files)
    let result = await runtime.workers.run { () -> Result<Void, RoostError> in
      do throws(RoostError) { return .success(try segment.verifyAll(progress)) } catch {
        return .failure(error)
      }
    }
    await segment.file.file.close()
    report.files += 1
    report.bytes += segment.fileBytes
    report.records += segment.rowCount - dead.count
    try result.get()
    guard dead.allSatisfy({ Int($0) < segment.rowCount }) else {
      throw .corrupted("the manifest marks rows that segment \(number) does not have", file: path, offset: 0)
    }
  }

  private static func verifyLogs(
    _ path: String, _ loaded: Manifest.Loaded, clean: CleanMarker?, files: any FileSystem,
    report: inout VerifyReport
  ) async throws(RoostError) {
    var numbers: [UInt64] = []
    for name in try await files.list(path) {
      guard case .wal(let number) = FileName(name) else { continue }
      if try await holdsWrites(path, number, loaded, clean: clean, files: files) { numbers.append(number) }
    }
    numbers.sort()
    try checkLogs(numbers, path, loaded, clean: clean)
    var sequence = loaded.state.flushedSequence
    for number in numbers {
      let log = try await surveyLog(
        path, number: number, schema: loaded.state.schema, after: sequence, clean: clean, files: files)
      sequence = log.lastSequence
      report.files += 1
      report.bytes += log.outcome.length
      report.tornBytes += log.outcome.tornBytes
      report.records += log.rows
    }
  }
}

extension Collection {
  /// Shows in the statistics how far a check of this collection is, from 0 to 1; nil when it is over.
  public func showCheck(_ fraction: Double?) {
    let records = published.withLock { $0.liveCount }
    status.withLock { status in
      status.check = fraction.map { MaintenanceProgress(kind: .verify, fraction: $0, records: records) }
    }
  }
}

extension Segment {
  /// Checks every page, every node of the graph, and that rows, ids, indexes and payloads agree.
  /// - Parameter progress: called now and then with the share that is done.
  func verifyAll(_ progress: (Double) -> Void = { _ in }) throws(RoostError) {
    for page in 0..<file.pageCount {
      _ = try file.mappedPage(page)
      if page % 4096 == 0 { progress(0.5 * Double(page) / Double(file.pageCount)) }
    }
    var vectorCounts = [UInt8](repeating: 0, count: rowCount)
    for field in fields {
      try field.graph.verifyMapped()
      try field.rows.verify()
      for node in 0..<UInt32(field.rows.count) {
        vectorCounts[Int(try field.rows.row(ofNode: node))] += 1
      }
    }
    if let bare = vectorCounts.firstIndex(of: 0) { throw damaged("row \(bare) has no vector") }
    try verifyTombstones()
    try attributes.verify()
    var previous: UnsafeRawBufferPointer?
    var seen = [Bool](repeating: false, count: rowCount)
    for rank in 0..<rowCount {
      if rank % 4096 == 0 { progress(0.5 + 0.5 * Double(rank) / Double(rowCount)) }
      let row = try row(atRank: rank)
      let encoded = try idBytes(row)
      _ = try id(row)
      _ = try version(row)
      guard !seen[row] else { throw damaged("row \(row) stands twice in the id order") }
      seen[row] = true
      if let previous, compareEncodedIDs(previous, encoded) >= 0 {
        throw damaged("ids are out of order at rank \(rank)")
      }
      previous = encoded
      guard try self.row(of: encoded) == UInt32(row) else {
        throw damaged("row \(row) is not in the id table")
      }
      _ = try RowSource.segment(self).decodedPayload(row)
      try verifyTail(row)
    }
  }

  /// Checks that the run of a row says the same of it as the sections.
  private func verifyTail(_ row: Int) throws(RoostError) {
    let graph = rowGraph
    guard row < graph.count else { return }
    let layout = graph.layout
    let run = layout.run(of: UInt32(row))
    let first = layout.firstRow(ofRun: run)
    let start = try graph.nodes.block(UInt32(first))
    let found = try layout.readTail(start, index: row - first) {
      damaged("the entry of row \(row) leaves its page")
    }
    guard let found else { return }
    guard Array(found.id) == Array(try idBytes(row)), Array(found.entry) == Array(try entry(row)) else {
      throw damaged("row \(row) has two entries that differ")
    }
  }

  private func damaged(_ message: String) -> RoostError { .corrupted(message, file: file.path, offset: 0) }
}
