// `bench ann`: recall against queries per second, in process or over the wire.

import ArgumentParser
import Core
import Foundation
import Storage

struct AnnCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ann", abstract: "Nearest-neighbour search: recall, queries per second, latency.",
    discussion: """
      Builds an index (or reuses the one that an earlier run left) and prints one JSON line about it and one
      for each operating point. Without files it makes its own clustered data.

      Examples:
        tools/run bench ann
        tools/run bench ann --base base.u8bin --queries query.u8bin --groundtruth groundtruth.ibin
        tools/run bench ann --count 1000000 --dimension 128 --memory 99108864 --threads 1,2 --concurrency 1,16
        tools/run bench ann --batch 1,10,100 --effort 64
        tools/run bench ann --batch 1,100 --exact --wire
      """)

  @Option(help: "Base vectors: .fbin .u8bin .i8bin .f16bin .bf16bin .bbin .fvecs .bvecs .npy.")
  var base: String?
  @Option(help: "Query vectors.")
  var queries: String?
  @Option(help: "Ground truth: .ibin or .ivecs. Without it, an exact search makes it.")
  var groundtruth: String?
  @Option(help: "l2, ip or cosine; hamming for binary vectors. Without it, l2 or hamming.")
  var metric: String?
  @Option(
    help: """
      Convert the vectors: f32, f16, bf16, or binary (one bit a dimension: whether it is above its mean; the \
      ground truth is then made by an exact search).
      """)
  var element: String?
  @Flag(help: "Store integer vectors as f32.")
  var floats = false
  @Option(help: "Memory for vectors and graph in bytes; less than the data means reading from disk.")
  var memory: Int?
  @Option(help: "Comma-separated numbers of ring threads that search.")
  var threads = "1"
  @Option(help: "Comma-separated numbers of queries in flight on each thread; more keep the disk busy.")
  var concurrency = "1"
  @Flag(help: "Ask each query once per operating point instead of over and over, so that no page is warm.")
  var once = false
  @Flag(help: "Search over the wire, through a node in this process.")
  var wire = false
  @Option(help: "Comma-separated numbers of queries in one call; their latencies are those of calls.")
  var batch = "1"
  @Flag(help: "With --batch: compare with every vector.")
  var exact = false
  @Option(help: "Comma-separated efforts (candidates kept during the walk) to measure.")
  var effort = "10,16,24,32,48,64,96,128,192,256,384,512"
  @Option(help: "Neighbours per graph node: 32 or 64.")
  var degree = 32
  @Option(help: "Candidates kept while a node is linked.")
  var buildEffort = 100
  @Option(help: "fast or compact: what the graph may take on disk.")
  var layout = "fast"
  @Option(help: "Seconds per operating point.")
  var seconds = 2.0
  @Option(help: "Folder for the index.")
  var directory = ".cache/bench"
  @Flag(help: "Build anew even if there is an index.")
  var rebuild = false
  @Option(help: "Vectors to make when no file is given.")
  var count = 100_000
  @Option(help: "Their dimension.")
  var dimension = 128
  @Option(help: "Seed of the made data.")
  var seed: UInt64 = 1

  func validate() throws {
    guard metric.map({ Metric(name: $0) != nil }) ?? true else {
      throw ValidationError("metric must be l2, ip, cosine or hamming")
    }
    guard element.map({ ["f32", "f16", "bf16", "binary"].contains($0) }) ?? true, !floats || element == nil
    else { throw ValidationError("element must be f32, f16, bf16 or binary; --floats means --element f32") }
    guard GraphLayout(name: layout) != nil else { throw ValidationError("layout must be fast or compact") }
    guard (base == nil) == (queries == nil) else { throw ValidationError("--base and --queries go together") }
    guard threadCounts.allSatisfy({ (1...64).contains($0) }), !threadCounts.isEmpty, !efforts.isEmpty,
      concurrencies.allSatisfy({ (1...1024).contains($0) }), !concurrencies.isEmpty,
      seconds > 0
    else { throw ValidationError("--threads, --concurrency and --effort take numbers such as 1,2") }
    guard !batches.isEmpty, batches.allSatisfy({ (1...Limits.batchQueriesMax).contains($0) }) else {
      throw ValidationError("--batch takes numbers of 1 to \(Limits.batchQueriesMax), such as 1,100")
    }
  }

  var threadCounts: [Int] { threads.split(separator: ",").compactMap { Int($0) } }
  var concurrencies: [Int] { concurrency.split(separator: ",").compactMap { Int($0) } }
  var batches: [Int] { batch.split(separator: ",").compactMap { Int($0) } }
  var efforts: [Int] { effort.split(separator: ",").compactMap { Int($0) } }

  var targetElement: VectorElement? { floats ? .f32 : element.flatMap { VectorElement(name: $0) } }

  func run() async throws {
    let system = try SystemRuntime()
    try await Task(executorPreference: system.rings[0]) {
      try await AnnBench(command: self, runtime: system.runtime).run()
    }.value
    await system.shutdown()
  }
}

struct AnnBench {
  let command: AnnCommand
  let runtime: Runtime

  func run() async throws {
    let (index, queries, known) = try await prepare()
    await index.describe()
    let truth = try await known.orElse { try await index.exactNeighbours(queries) }
    let target: any AnnTarget =
      command.wire
      ? try await WireTarget.start(index, runtime)
      : LocalTarget(collection: index.collection, executors: runtime.executors)
    for threads in command.threadCounts {
      for concurrency in command.concurrencies {
        for effort in command.efforts {
          for batch in command.batches {
            try await measure(
              queries, truth, target, effort: effort, threads: threads, concurrency: concurrency, batch: batch
            )
          }
        }
      }
    }
    try await target.stop()
  }

  /// The index, the queries and their true neighbours if a file has them. The base vectors go with the end
  /// of this call.
  private func prepare() async throws -> (AnnIndex, [Vector], [[UInt64]]?) {
    let data: AnnData
    if let base = command.base, let queries = command.queries {
      data = try await AnnData.load(
        base: base, queries: queries, truth: command.groundtruth, element: command.targetElement,
        files: runtime.files)
    } else {
      data = try AnnData.make(
        count: command.count, dimension: command.dimension, queries: 1000, seed: command.seed
      ).converted(to: command.targetElement)
    }
    return (try await AnnIndex.prepare(data, command, runtime), data.queries, data.truth?.nearest(10))
  }

  /// Runs the queries over and over for the set time and prints the line.
  private func measure(
    _ queries: [Vector], _ truth: [[UInt64]], _ target: any AnnTarget, effort: Int, threads: Int,
    concurrency: Int, batch: Int
  ) async throws {
    let cacheBefore = await target.pageCache()
    let deadline = DispatchTime.now().uptimeNanoseconds + UInt64(command.seconds * 1e9)
    let start = DispatchTime.now().uptimeNanoseconds
    let startCPU = processNanos()
    let results = try await withThrowingTaskGroup(of: WorkerResult.self) { group in
      let workers = threads * concurrency
      for worker in 0..<workers {
        let executor = target.executors[worker % threads % target.executors.count]
        group.addTask(executorPreference: executor) {
          var result = WorkerResult()
          var position = worker * queries.count / workers
          let end = (worker + 1) * queries.count / workers
          if command.once, position == end { return result }
          repeat {
            let chosen = (position..<position + batch).map { $0 % queries.count }
            let vectors = chosen.map { queries[$0] }
            let began = DispatchTime.now().uptimeNanoseconds
            let answers: [[UInt64]]
            if batch == 1 && !command.exact {
              let answer = try await target.search(vectors[0], effort: effort)
              answers = [answer.ids]
              result.pagesRead += answer.pagesRead
            } else {
              answers = try await target.search(vectors, effort: effort, exact: command.exact)
            }
            result.micros.append(Double(DispatchTime.now().uptimeNanoseconds - began) / 1000)
            for (query, ids) in zip(chosen, answers) where result.answers.count < queries.count {
              result.answers.append((query, ids))
            }
            position += batch
          } while command.once ? position < end : DispatchTime.now().uptimeNanoseconds < deadline
          return result
        }
      }
      return try await group.reduce(into: [WorkerResult]()) { $0.append($1) }
    }
    let elapsed = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    let cpuMicros = Double(processNanos() - startCPU) / 1000
    let micros = results.flatMap(\.micros).sorted()
    func percentile(_ share: Double) -> Double {
      micros[min(micros.count - 1, Int(Double(micros.count) * share))]
    }
    // After the clock has stopped: comparing takes a few percent of the time of a search.
    let answers = results.flatMap(\.answers)
    let found = answers.reduce(0) { $0 + Set($1.ids).intersection(truth[$1.query]).count }
    let possible = answers.reduce(0) { $0 + truth[$1.query].count }
    let cache = await target.pageCache()
    // Where the cache can be seen, all reads count, those for ids and payloads too.
    let seen = Int(cache.reads - cacheBefore.reads)
    let pages = seen > 0 ? seen : results.reduce(0) { $0 + $1.pagesRead }
    let looked = Double(cache.hits + cache.misses - cacheBefore.hits - cacheBefore.misses)
    JSONLine.print(
      .object([
        "recall10": JSON(Double(found) / Double(possible)),
        "qps": JSON((Double(micros.count * batch) / elapsed).rounded()),
        "mean_us": JSON(micros.reduce(0, +) / Double(micros.count)), "p50_us": JSON(percentile(0.5)),
        "p99_us": JSON(percentile(0.99)), "ios_per_query": JSON(Double(pages) / Double(micros.count * batch)),
        "cpu_us": JSON(cpuMicros / Double(micros.count * batch)),
        "reads_per_s": JSON((Double(pages) / elapsed).rounded()),
        "cache_hit_rate": JSON(looked > 0 ? Double(cache.hits - cacheBefore.hits) / looked : 0),
        "cache_bytes": JSON(cache.usedBytes), "heap_bytes": JSON(await target.heapBytes()),
        "threads": JSON(threads), "concurrency": JSON(concurrency), "batch": JSON(batch),
        "param": JSON(effort),
      ]))
  }

  private struct WorkerResult: Sendable {
    var micros: [Double] = []
    /// Of the first pass over the queries; later ones find the same.
    var answers: [(query: Int, ids: [UInt64])] = []
    var pagesRead = 0
  }
}

extension Optional {
  func orElse(_ body: () async throws -> Wrapped) async rethrows -> Wrapped {
    if let self { return self }
    return try await body()
  }
}

extension GroundTruth {
  /// The first `k` true neighbours of each query.
  func nearest(_ k: Int) -> [[UInt64]] { (0..<queries).map { ids(ofQuery: $0).prefix(k).map(UInt64.init) } }
}
