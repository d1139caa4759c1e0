import Core
import Testing

/// Latency, cables and crashes; the ordinary behaviour is in TransportConformanceTests.
@Suite struct MemoryNetworkTests {
  private struct World {
    let executor: SeededExecutor
    let clock: VirtualClock
    let network: MemoryNetwork
    var left: MemoryTransport { network.transport(host: "left") }
    var right: MemoryTransport { network.transport(host: "right") }

    init(seed: UInt64, settings: MemoryNetwork.Settings = .init()) {
      executor = SeededExecutor(seed: seed)
      clock = VirtualClock(executor)
      network = MemoryNetwork(seed: seed, executor: executor, settings: settings)
    }

    /// A connection from left to right: (left's end, right's end).
    func pair() async throws -> (any Connection, any Connection) {
      let listener = try await right.listen(on: SocketAddress(host: "0.0.0.0", port: 0))
      async let accepted = listener.accept()
      let port = listener.address.port
      let connection = try await left.connect(to: SocketAddress(host: "right", port: port), timeoutMs: 1_000)
      return (connection, try await accepted)
    }

    /// The kind of error that `body` throws; nil when it ends well; `.overloaded` when it takes for ever.
    func outcome(_ body: @escaping @Sendable () async throws -> Void) async -> RoostError.Kind? {
      let task = Task(executorPreference: executor) { () -> RoostError.Kind? in
        do {
          try await body()
          return nil
        } catch { return (error as? RoostError)?.kind }
      }
      let limit = Task(executorPreference: executor) {
        try await clock.sleep(nanos: 3_600_000_000_000)
        task.cancel()
      }
      let kind = await task.value
      limit.cancel()
      return kind == .cancelled ? .overloaded : kind
    }
  }

  private static func send(_ bytes: [UInt8], _ connection: any Connection) async throws {
    try await connection.send(IOBuffer(bytes), range: 0..<bytes.count)
  }

  private static func receive(_ count: Int, _ connection: any Connection) async throws -> [UInt8] {
    let buffer = IOBuffer(count: count)
    var done = 0
    while done < count {
      let received = try await connection.receive(into: buffer, range: done..<count)
      if received == 0 { break }
      done += received
    }
    return Array(buffer.bytes(0..<done))
  }

  @Test func bytesTakeTheirTimeAndKeepTheirOrder() throws {
    let world = World(seed: 1, settings: .init(latencyNanos: 1_000_000...9_000_000))
    try world.executor.run {
      let (left, right) = try await world.pair()
      let start = world.clock.monotonicNanos()
      for byte in 0..<50 as Range<UInt8> { try await MemoryNetworkTests.send([byte], left) }
      #expect(world.clock.monotonicNanos() == start)
      #expect(try await MemoryNetworkTests.receive(50, right) == Array(0..<50))
      let elapsed = world.clock.monotonicNanos() - start
      #expect((1_000_000...9_000_000).contains(elapsed))
      #expect(right.peer.hasPrefix("left:"))
    }
  }

  @Test func oneSeedOneRun() throws {
    func run(_ seed: UInt64) throws -> (UInt64, Int) {
      let world = World(seed: seed)
      try world.executor.run {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for index in 0..<5 {
            group.addTask {
              let (left, right) = try await world.pair()
              async let sending: Void = MemoryNetworkTests.send(
                [UInt8](repeating: 1, count: 700_000 + index), left)
              _ = try await MemoryNetworkTests.receive(700_000 + index, right)
              try await sending
              await left.close()
            }
          }
          try await group.waitForAll()
        }
      }
      #expect(world.executor.strayJobs == 0)
      return (world.executor.nowNanos, world.executor.jobCount)
    }
    let first = try run(7)
    #expect(try run(7) == first)
    #expect(try run(8) != first)
  }

  @Test func aPartitionHoldsBytesUntilItHeals() throws {
    let world = World(seed: 2)
    try world.executor.run {
      let (left, right) = try await world.pair()
      world.network.partition(["left"], ["right"])
      try await MemoryNetworkTests.send([1, 2, 3], left)
      #expect(await world.outcome { _ = try await MemoryNetworkTests.receive(3, right) } == .overloaded)
      #expect(
        await world.outcome {
          _ = try await world.left.connect(to: SocketAddress(host: "right", port: 1), timeoutMs: 100)
        } == .deadlineExceeded)
      async let received = MemoryNetworkTests.receive(3, right)
      world.network.heal()
      #expect(try await received == [1, 2, 3])
    }
  }

  @Test func aHalfOpenLinkFillsUp() throws {
    let world = World(seed: 3, settings: .init(bufferBytes: 10_000))
    try world.executor.run {
      let (left, right) = try await world.pair()
      world.network.cut(from: "left", to: "right")
      // The other direction still works.
      try await MemoryNetworkTests.send([9], right)
      #expect(try await MemoryNetworkTests.receive(1, left) == [9])
      // Bounded: the sender is held, it does not pile up memory.
      #expect(
        await world.outcome { try await MemoryNetworkTests.send([UInt8](repeating: 0, count: 10_001), left) }
          == .overloaded)
      // The end of the stream does not get through either.
      await left.close()
      #expect(await world.outcome { _ = try await MemoryNetworkTests.receive(20_000, right) } == .overloaded)
      world.network.heal(from: "left", to: "right")
      #expect(try await MemoryNetworkTests.receive(20_000, right).count == 10_000)
    }
  }

  @Test func breakingResetsBothEnds() throws {
    let world = World(seed: 4)
    try world.executor.run {
      let (left, right) = try await world.pair()
      async let leftKind = world.outcome { _ = try await MemoryNetworkTests.receive(1, left) }
      async let rightKind = world.outcome { _ = try await MemoryNetworkTests.receive(1, right) }
      try await world.clock.sleep(nanos: 1_000)
      world.network.breakConnections("left", "right")
      #expect(await leftKind == .connectionClosed)
      #expect(await rightKind == .connectionClosed)
      #expect(await world.outcome { try await MemoryNetworkTests.send([1], left) } == .connectionClosed)
    }
  }

  @Test func aCrashedHostSaysNothing() throws {
    let world = World(seed: 5)
    try world.executor.run {
      let (left, right) = try await world.pair()
      async let own = world.outcome { _ = try await MemoryNetworkTests.receive(1, right) }
      try await world.clock.sleep(nanos: 1_000)
      world.network.crash("right")
      #expect(await own == .connectionClosed)
      #expect(await world.outcome { _ = try await MemoryNetworkTests.receive(1, left) } == .overloaded)
      try await MemoryNetworkTests.send([1], left)
      #expect(
        await world.outcome { _ = try await world.right.listen(on: SocketAddress(host: "0.0.0.0", port: 7)) }
          == .unavailable)
      world.network.restart("right")
      #expect(await world.outcome { try await MemoryNetworkTests.send([1], left) } == .connectionClosed)
      #expect(
        await world.outcome {
          _ = try await world.left.connect(to: SocketAddress(host: "right", port: 1), timeoutMs: 100)
        } == .unavailable)
    }
  }

  @Test func connectionsBreakBySeed() throws {
    let world = World(seed: 6, settings: .init(breakProbability: 0.2))
    try world.executor.run {
      var broken = 0
      for _ in 0..<50 {
        let (left, right) = try await world.pair()
        if await world.outcome({ try await MemoryNetworkTests.send([1], left) }) == .connectionClosed {
          broken += 1
          #expect(
            await world.outcome { _ = try await MemoryNetworkTests.receive(1, right) } == .connectionClosed)
        }
      }
      #expect((2...25).contains(broken))
    }
  }
}
