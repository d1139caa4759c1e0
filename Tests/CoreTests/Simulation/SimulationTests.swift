import Core
import Testing

/// A small server with a log, its client, and a power loss in between: the seams working together.
@Suite struct SimulationTests {
  private static let path = "/data/log"

  /// Appends each byte that it receives to its log, durably, and answers with it.
  private static func serve(_ runtime: Runtime) async throws {
    let file = try await runtime.files.open(path, [.read, .write, .create])
    try await runtime.files.syncDirectory("/data")
    var end = try await file.size()
    let listener = try await runtime.transport.listen(on: SocketAddress(host: "0.0.0.0", port: 1))
    while true {
      let connection = try await listener.accept()
      let buffer = IOBuffer(count: 1)
      while try await connection.receive(into: buffer, range: 0..<1) == 1 {
        try await file.write(buffer, range: 0..<1, at: end)
        try await file.sync()
        end += 1
        try await connection.send(buffer, range: 0..<1)
      }
    }
  }

  /// Sends 1, 2, 3 … until something breaks; returns how many were acknowledged.
  private static func store(_ runtime: Runtime) async throws -> Int {
    let connection = try await runtime.transport.connect(
      to: SocketAddress(host: "server", port: 1), timeoutMs: 1_000)
    let buffer = IOBuffer(count: 1)
    for value in 1...20 as ClosedRange<UInt8> {
      buffer.mutableBytes[0] = value
      do {
        try await connection.send(buffer, range: 0..<1)
        guard try await connection.receive(into: buffer, range: 0..<1) == 1 else { return Int(value) - 1 }
      } catch { return Int(value) - 1 }
    }
    return 20
  }

  @Test func acknowledgedBytesSurviveACrashAtEveryOperation() throws {
    for operation in 1..<43 {
      let seed = UInt64(operation)
      let simulation = Simulation(seed: seed)
      let latency = MemoryDisk.Latency(clock: VirtualClock(simulation.executor), nanos: 10_000...200_000)
      let disk = MemoryDisk(
        seed: seed, faults: .crashAt(operation), directories: ["/data"], latency: latency)
      let server = simulation.runtime(host: "server", disk: disk)
      let client = simulation.runtime(host: "client", disk: MemoryDisk())
      let acknowledged = try simulation.run {
        let serving = Task(executorPreference: simulation.executor) {
          try? await SimulationTests.serve(server)
          simulation.network.breakConnections("client", "server")
        }
        try await client.clock.sleep(nanos: 10_000_000)
        let count = (try? await SimulationTests.store(client)) ?? 0
        serving.cancel()
        return count
      }
      #expect(simulation.executor.strayJobs == 0, "seed \(seed)")
      // Creating the file and its name come first, then a write and a sync for each byte.
      #expect(acknowledged == max(0, operation - 2) / 2, "seed \(seed)")
      for survival in [.nothing, .everything, .seed(seed)] as [Survival] {
        let bytes = disk.afterCrash(survival).contents(of: SimulationTests.path) ?? []
        #expect(bytes.starts(with: (0..<acknowledged).map { UInt8($0 + 1) }), "seed \(seed)")
        #expect(bytes.count <= acknowledged + 1, "seed \(seed)")
      }
    }
  }
}
