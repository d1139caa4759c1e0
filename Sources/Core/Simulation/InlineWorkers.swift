// Workers without threads.

/// Runs each piece at once, in the caller's place. `width` only says what the caller should believe.
public struct InlineWorkers: Workers {
  public let width: Int

  public init(width: Int = 2) { self.width = width }

  public func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T { body() }
}
