// Statistics, verification and backup.

import Core
import Storage
import Synchronization
import Wire

extension Coordinator {
  // MARK: Statistics

  func stats(_ request: StatsRequest) async throws(RoostError) -> Payload {
    guard let name = request.collection else { return await nodeStats() }
    return try await collections.withHosted(name) { (hosted) in
      var payload = Coordinator.payload(of: await hosted.collection.stats())
      if let embedder = hosted.collection.schema.embedder, let version = hosted.generation.embedder {
        payload["embedder"] = .map([
          "module": .string(embedder.module), "version": .int(Int64(version.number)),
          "sha256": .string(version.digest.text),
        ])
      }
      if let progress = hosted.reembedding.withLock({ $0 }) { payload["embedding_anew"] = progress.payload }
      return payload
    }
  }

  private static func payload(of stats: CollectionStats) -> Payload {
    var payload = Payload([
      "records": .int(Int64(stats.liveRecords)), "dead_rows": .int(Int64(stats.deadRows)),
      "tombstones": .int(Int64(stats.tombstones)), "memtable_rows": .int(Int64(stats.memtableRows)),
      "sealed_memtables": .int(Int64(stats.sealedMemtables)),
      "segments": .int(Int64(stats.segments)), "segment_bytes": .int(Int64(clamping: stats.segmentBytes)),
      "wal_bytes": .int(Int64(clamping: stats.walBytes)), "heap_bytes": .int(Int64(stats.heapBytes)),
      "resident": .bool(stats.isResident), "sequence": .int(Int64(clamping: stats.sequence)),
      "flushes": .int(Int64(stats.flushes)), "compactions": .int(Int64(stats.compactions)),
      "recovered_cleanly": .bool(stats.recovery.wasClean),
      "recovered_batches": .int(Int64(stats.recovery.replayedBatches)),
      "recovered_torn_bytes": .int(Int64(clamping: stats.recovery.tornBytes)),
    ])
    if !stats.isResident {
      let cache = stats.pageCache
      payload["page_cache_budget_bytes"] = .int(Int64(cache.budgetBytes))
      payload["page_cache_bytes"] = .int(Int64(cache.usedBytes))
      payload["page_cache_hits"] = .int(Int64(clamping: cache.hits))
      payload["page_cache_misses"] = .int(Int64(clamping: cache.misses))
      payload["page_cache_evictions"] = .int(Int64(clamping: cache.evictions))
    }
    if let work = stats.maintenance {
      payload["maintenance"] = .map([
        "kind": .string(work.kind.rawValue), "fraction": .double(work.fraction),
        "records": .int(Int64(work.records)),
      ])
    }
    if let failure = stats.maintenanceFailure {
      payload["maintenance_failure"] = .string(failure.description)
    }
    return payload
  }

  private func nodeStats() async -> Payload {
    var payload = Payload()
    let uptime = runtime.clock.monotonicNanos() - metrics.startedNanos
    payload["version"] = .string(configuration.version)
    payload["node"] = .int(Int64(folder.nodeID))
    payload["uptime_seconds"] = .double(Double(uptime / 1_000_000) / 1_000)
    payload["cores"] = .int(Int64(runtime.executors.count))
    payload["memory_budget_bytes"] = .int(Int64(configuration.memoryBytes))
    payload["collections"] = .int(Int64(collections.open.count))
    payload["modules"] = .int(Int64(modules.count))
    payload["modules_compiled"] = .int(Int64(clamping: modules.compiled.load(ordering: .relaxed)))
    payload["modules_loaded"] = .int(Int64(clamping: modules.loaded.load(ordering: .relaxed)))
    let totals = modules.totals
    payload["module_calls"] = .int(Int64(clamping: totals.calls))
    payload["module_guest_ns"] = .int(Int64(clamping: totals.nanos))
    payload["module_failures"] = .int(Int64(clamping: totals.failures))
    payload["module_deadline_misses"] = .int(Int64(clamping: totals.deadlineMisses))
    payload["queries_in_flight"] = .int(Int64(queries.current))
    payload["write_bytes_in_flight"] = .int(Int64(writes.current))
    payload["embedded_texts"] = .int(Int64(clamping: metrics.embeddedTexts.load(ordering: .relaxed)))
    payload["overloaded"] = .int(Int64(clamping: metrics.overloaded.load(ordering: .relaxed)))
    let failed = collections.failed
    if !failed.isEmpty {
      var reasons: [String: Value] = [:]
      // Bounded, so that the statistics always fit a message.
      for (name, error) in failed.prefix(32) {
        reasons[name] = .string(String(error.description.prefix(500)))
      }
      payload["failed_collections"] = .map(reasons)
    }
    var requests: [String: Value] = [:]
    for opcode in Opcode.allCases {
      guard let latency = metrics.latency(opcode), latency.count > 0 else { continue }
      requests["\(opcode)"] = .map([
        "count": .int(Int64(clamping: latency.count)),
        "p50_us": .double(Double(latency.percentileNanos(0.5)) / 1_000),
        "p99_us": .double(Double(latency.percentileNanos(0.99)) / 1_000),
      ])
    }
    payload["requests"] = .map(requests)
    return payload
  }

  // MARK: Verification and backup

  /// Checks a collection while it serves: a backup in the scratch folder holds the same files by hard
  /// links, and that is what is read.
  func verify(_ request: VerifyRequest) async throws(RoostError) -> VerifyAnswer {
    try await collections.with(request.collection) { (collection) throws(RoostError) in
      defer { collection.showCheck(nil) }
      try await runtime.files.makeDirectory(folder.scratchPath)
      let copy = folder.scratchPath + "/verify-\(runtime.random.next())"
      try await collection.backup(to: copy)
      let report: VerifyReport
      do throws(RoostError) {
        report = try await Collection.verify(copy, runtime: runtime) { collection.showCheck($0) }
      } catch {
        try await Collection.destroy(copy, files: runtime.files)
        throw error
      }
      try await Collection.destroy(copy, files: runtime.files)
      let problems = report.problems.prefix(VerifyAnswer.problemsMax).map { problem in
        // The file has the same name in the collection's own folder.
        var problem = problem
        if problem.place.hasPrefix(copy) {
          problem.place = collection.path + problem.place.dropFirst(copy.count)
        }
        return problem
      }
      return VerifyAnswer(
        filesChecked: UInt64(report.files), bytesChecked: report.bytes, problems: problems,
        recall: try await measureRecall(collection, samples: request.recallSamples))
    }
  }

  private func measureRecall(
    _ collection: Collection, samples: Int
  ) async throws(RoostError) -> RecallAnswer? {
    guard samples > 0 else { return nil }
    let report = try await collection.measureRecall(samples: samples) { done in
      collection.showCheck(Double(done) / Double(samples))
    }
    return RecallAnswer(
      queries: UInt32(report.queries), k: UInt32(report.k), effort: UInt32(report.effort),
      recall: report.recall, low: report.low, high: report.high, advice: report.advice ?? "")
  }

  func backup(_ request: BackupRequest) async throws(RoostError) -> Response {
    let directory = request.directory
    guard directory.hasPrefix("/"), !directory.split(separator: "/").contains("..") else {
      throw RoostError(
        .invalidArgument, "'\(directory)' is not an absolute path without '..'", at: "backup.directory",
        remedy: "name a folder on the node's machine by its full path")
    }
    guard directory != folder.path, !directory.hasPrefix(folder.path + "/") else {
      throw RoostError(
        .invalidArgument, "a backup inside the data folder would be part of it", at: "backup.directory",
        remedy: "name a folder elsewhere on the same file system")
    }
    return try await collections.withHosted(request.collection) { (hosted) throws(RoostError) in
      try await hosted.collection.backup(to: directory)
      if let embedder = hosted.generation.embedder {
        try await EmbedderFile.write(embedder, in: directory, files: runtime.files)
      }
      return .backup
    }
  }
}
