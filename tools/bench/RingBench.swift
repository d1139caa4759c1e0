// `bench ring`: what the disk and the loopback network give through the ring. `tools/run report` compares
// the direct reads with those of fio's io_uring engine on the same file.

import ArgumentParser
import Core
import Glibc
import Storage

struct RingCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ring", abstract: "Reads, durable appends and ping-pong through the ring.")

  @Option(help: "Folder for the test file; it should be on the disk that matters.")
  var directory = "."
  @Option(help: "Size of the test file in MiB.")
  var mebibytes = 1024
  @Option(help: "Seconds per operating point.")
  var seconds = 2.0
  @Option(help: "Only the points whose name contains this, such as queue-direct or tcp.")
  var only = ""
  @Option(help: "Reads in flight in a read queue, several by commas.")
  var depths = "1,16,64,128"
  @Flag(help: "Leave the test file, roost-ring-bench.dat, for another run or for another program.")
  var keep = false

  var depthList: [Int] { depths.split(separator: ",").map { Int($0) ?? 0 } }

  func validate() throws {
    guard mebibytes > 0, seconds > 0 else { throw ValidationError("sizes and times must be positive") }
    guard depthList.allSatisfy({ (1...1024).contains($0) }) else {
      throw ValidationError("--depths takes numbers in 1...1024, such as 1,64")
    }
  }

  func run() async throws {
    try await RingBench(
      directory: directory, mebibytes: mebibytes, seconds: seconds, only: only, depths: depthList, keep: keep
    ).run()
  }
}

struct RingBench {
  let directory: String
  let mebibytes: Int
  let seconds: Double
  let only: String
  let depths: [Int]
  let keep: Bool

  private func isWanted(_ name: String) -> Bool { only.isEmpty || name.contains(only) }

  private var path: String { "\(directory)/roost-ring-bench.dat" }

  /// Makes the test file if it is not there yet, runs all points and, unless it is to be kept, removes it.
  func run() async throws {
    let system = try SystemRuntime()
    let runtime = system.runtime
    try await Task(executorPreference: system.rings[0]) {
      try await prepare(runtime)
      for (name, options) in [("direct", [.read, .direct]), ("buffered", [.read])] as [(String, OpenOptions)]
      {
        let file = try await runtime.files.open(path, options)
        if name == "buffered", isWanted("queue-buffered") || isWanted("tasks-buffered") {
          try await warm(file)
        }
        for depth in depths { try await queueReads(runtime, file, "queue-\(name)", depth: depth) }
        for depth in [1, 64] { try await taskReads(runtime, file, "tasks-\(name)", depth: depth) }
        await file.close()
      }
      try await twoRings(system)
      try await appends(runtime)
      try await pingPong(runtime, "tcp-same-ring", on: nil)
      if system.rings.count > 1 { try await pingPong(runtime, "tcp-two-rings", on: system.rings[1]) }
      if !keep { try await runtime.files.remove(path) }
    }.value
    await system.shutdown()
  }

  private func prepare(_ runtime: Runtime) async throws {
    let file = try await runtime.files.open(path, [.read, .write, .create, .direct])
    if try await file.size() != UInt64(mebibytes) << 20 { try await fill(file) }
    await file.close()
  }

  private func fill(_ file: any File) async throws {
    try await file.truncate(to: 0)
    var random = SplitMix64(seed: 1)
    let buffer = IOBuffer(count: 1 << 20, alignment: 4096)
    for index in 0..<mebibytes {
      // Not all zero: some disks and file systems treat zeroes apart.
      for word in 0..<(1 << 17) {
        buffer.base.storeBytes(of: random.next(), toByteOffset: word * 8, as: UInt64.self)
      }
      try await file.write(buffer, range: 0..<(1 << 20), at: UInt64(index) << 20)
    }
    try await file.sync()
  }

  private func warm(_ file: any File) async throws {
    let buffer = IOBuffer(count: 1 << 20, alignment: 4096)
    for index in 0..<mebibytes {
      _ = try await file.read(into: buffer, range: 0..<(1 << 20), at: UInt64(index) << 20)
    }
  }

  private var pages: UInt64 { UInt64(mebibytes) << 8 }

  /// One task with `depth` reads in flight in a read queue.
  private func queueReads(_ runtime: Runtime, _ file: any File, _ name: String, depth: Int) async throws {
    guard isWanted(name) else { return }
    let measure = Measure(runtime.clock, seconds)
    let count = try await readLoop(runtime.clock, file, depth: depth, until: measure.end, seed: 1)
    measure.report(name, count, "depth", depth)
  }

  private func readLoop(
    _ clock: any Clock, _ file: any File, depth: Int, until end: UInt64, seed: UInt64
  ) async throws -> Int {
    let queue = file.makeReadQueue()
    var random = SplitMix64(seed: seed)
    let buffers = (0..<depth).map { _ in IOBuffer(count: 4096, alignment: 4096) }
    for tag in 0..<depth {
      queue.submit(into: buffers[tag], range: 0..<4096, at: (random.next() % pages) << 12, tag: tag)
    }
    var count = 0
    while true {
      let tag = try await queue.next()
      count += 1
      if count & 63 == 0 && clock.monotonicNanos() >= end { break }
      queue.submit(into: buffers[tag], range: 0..<4096, at: (random.next() % pages) << 12, tag: tag)
    }
    while queue.inFlight > 0 {
      _ = try await queue.next()
      count += 1
    }
    return count
  }

  /// `depth` tasks, each with one read at a time.
  private func taskReads(_ runtime: Runtime, _ file: any File, _ name: String, depth: Int) async throws {
    guard isWanted(name) else { return }
    let measure = Measure(runtime.clock, seconds)
    let clock = runtime.clock
    let pages = pages
    let count = try await withThrowingTaskGroup(of: Int.self) { group in
      for task in 0..<depth {
        group.addTask {
          var random = SplitMix64(seed: UInt64(task))
          let buffer = IOBuffer(count: 4096, alignment: 4096)
          var count = 0
          while clock.monotonicNanos() < measure.end {
            _ = try await file.read(into: buffer, range: 0..<4096, at: (random.next() % pages) << 12)
            count += 1
          }
          return count
        }
      }
      return try await group.reduce(0, +)
    }
    measure.report(name, count, "depth", depth)
  }

  /// Every ring at depth 64: whether the disk or a core is the limit.
  private func twoRings(_ system: SystemRuntime) async throws {
    guard isWanted("queue-direct-all-rings") else { return }
    let file = try await system.runtime.files.open(path, [.read, .direct])
    let measure = Measure(system.runtime.clock, seconds)
    let clock = system.runtime.clock
    let count = try await withThrowingTaskGroup(of: Int.self) { group in
      for (index, ring) in system.rings.enumerated() {
        group.addTask(executorPreference: ring) {
          try await readLoop(clock, file, depth: 64, until: measure.end, seed: UInt64(index))
        }
      }
      return try await group.reduce(0, +)
    }
    measure.report("queue-direct-all-rings", count, "depth", 64)
    await file.close()
  }

  /// 4 KiB appended and made durable, one after the other.
  private func appends(_ runtime: Runtime) async throws {
    for (name, options) in [("append-buffered", [.write]), ("append-direct", .direct)]
      as [(String, OpenOptions)]
    {
      guard isWanted(name) else { continue }
      let target = path + ".log"
      let file = try await runtime.files.open(target, options.union([.write, .create, .truncate]))
      let buffer = IOBuffer(count: 4096, alignment: 4096)
      let measure = Measure(runtime.clock, seconds)
      var count = 0
      while runtime.clock.monotonicNanos() < measure.end {
        try await file.write(buffer, range: 0..<4096, at: UInt64(count) << 12)
        try await file.sync()
        count += 1
      }
      measure.report(name, count, "depth", 1)
      await file.close()
      try await runtime.files.remove(target)
    }
  }

  private func pingPong(_ runtime: Runtime, _ name: String, on other: (any TaskExecutor)?) async throws {
    guard isWanted(name) else { return }
    let listener = try await runtime.transport.listen(on: SocketAddress(host: "127.0.0.1", port: 0))
    let echo = Task(executorPreference: other ?? runtime.executors[0]) {
      let connection = try await listener.accept()
      let buffer = IOBuffer(count: 64)
      while try await connection.receive(into: buffer, range: 0..<64) == 64 {
        try await connection.send(buffer, range: 0..<64)
      }
      await connection.close()
    }
    let client = try await runtime.transport.connect(to: listener.address, timeoutMs: 1_000)
    let buffer = IOBuffer(count: 64)
    let measure = Measure(runtime.clock, seconds)
    var count = 0
    while runtime.clock.monotonicNanos() < measure.end {
      try await client.send(buffer, range: 0..<64)
      guard try await client.receive(into: buffer, range: 0..<64) == 64 else { break }
      count += 1
    }
    measure.report(name, count, "bytes", 64)
    await client.close()
    try await echo.value
    await listener.close()
  }
}

/// One timed stretch and its JSON line.
private struct Measure: Sendable {
  private let clock: any Clock
  private let start: UInt64
  private let startCPU: UInt64
  let end: UInt64

  init(_ clock: any Clock, _ seconds: Double) {
    self.clock = clock
    start = clock.monotonicNanos()
    startCPU = processNanos()
    end = start + UInt64(seconds * 1e9)
  }

  func report(_ name: String, _ count: Int, _ parameter: String, _ value: Int) {
    let nanos = Double(clock.monotonicNanos() - start)
    let cpu = Double(processNanos() - startCPU)
    func rounded(_ number: Double) -> Double { (number * 100).rounded() / 100 }
    print(
      "{\"bench\":\"ring\",\"what\":\"\(name)\",\"\(parameter)\":\(value),"
        + "\"per_second\":\(Int(Double(count) / nanos * 1e9)),"
        + "\"mean_us\":\(rounded(nanos / 1e3 / Double(count) * Double(parameter == "depth" ? value : 1))),"
        + "\"cpu_us\":\(rounded(cpu / 1e3 / Double(count)))}")
  }
}
