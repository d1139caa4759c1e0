// A world of simulated machines: one seed, one executor, one network, a disk for each.

/// Puts the simulated seams together. Everything in it is decided by the seed.
public final class Simulation: Sendable {
  public let seed: UInt64
  public let executor: SeededExecutor
  public let network: MemoryNetwork

  public init(
    seed: UInt64, order: SeededExecutor.Order = .random, network: MemoryNetwork.Settings = .init()
  ) {
    self.seed = seed
    executor = SeededExecutor(seed: seed, order: order)
    self.network = MemoryNetwork(seed: seed ^ 0x6e65_7477, executor: executor, settings: network)
  }

  /// What a machine called `host` runs on. After a crash of the machine make a new one with
  /// `disk.afterCrash(…)`.
  /// - Parameter clock: its own when its wall clock shall be wrong.
  public func runtime(host: String, disk: MemoryDisk, clock: VirtualClock? = nil) -> Runtime {
    // FNV-1a: unlike `hashValue` the same in every process.
    let hostSeed = host.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return Runtime(
      clock: clock ?? VirtualClock(executor), random: SeededRandom(seed: seed ^ hostSeed), files: disk,
      transport: network.transport(host: host), workers: InlineWorkers(), executors: [executor])
  }

  /// Runs `body` to its end in virtual time; see `SeededExecutor.run`.
  public func run<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) throws -> T {
    try executor.run(body)
  }
}
