// Everything a deterministic core takes from outside, in one parameter.

/// The seams that a part of Roost runs on.
public struct Runtime: Sendable {
  public var clock: any Clock
  public var random: any RandomSource
  public var files: any FileSystem
  public var transport: any Transport
  public var workers: any Workers
  /// One executor per core; a session or a collection picks one and stays on it.
  public var executors: [any TaskExecutor]

  public init(
    clock: any Clock, random: any RandomSource, files: any FileSystem, transport: any Transport,
    workers: any Workers, executors: [any TaskExecutor]
  ) {
    precondition(!executors.isEmpty)
    self.clock = clock
    self.random = random
    self.files = files
    self.transport = transport
    self.workers = workers
    self.executors = executors
  }
}
