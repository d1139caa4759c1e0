// How far a long call of the node is, while a command waits for its answer.

import Core
import Storage
import Wire

extension Client {
  private static let pollNanos: UInt64 = 250_000_000

  /// Runs `body` and meanwhile shows what the statistics of the collection say about its maintenance.
  func showingProgress<T: Sendable>(
    of collection: String, isSilent: Bool, _ body: @Sendable () async throws(RoostError) -> T
  ) async throws -> T {
    guard !isSilent else { return try await body() }
    let clock = try Runtime.system().clock
    let poller = Task {
      var shown: (kind: String, progress: Progress)?
      while !Task.isCancelled {
        guard (try? await clock.sleep(nanos: Self.pollNanos)) != nil else { break }
        guard let stats = try? await stats(of: collection), case .map(let work)? = stats["maintenance"],
          case .string(let kind)? = work["kind"], case .double(let fraction)? = work["fraction"],
          case .int(let records)? = work["records"]
        else { continue }
        if shown?.kind != kind {
          shown?.progress.end()
          shown = (kind, Progress(Self.verb(kind), isSilent: false, clock: clock))
        }
        shown?.progress.update(fraction: fraction, items: Int(fraction * Double(records)))
      }
      shown?.progress.end()
    }
    let result: Result<T, RoostError>
    do throws(RoostError) { result = .success(try await body()) } catch { result = .failure(error) }
    poller.cancel()
    await poller.value
    return try result.get()
  }

  private static func verb(_ kind: String) -> String {
    switch kind {
    case "flush": "flushing"
    case "merge": "merging"
    case "verify": "verifying"
    default: kind
    }
  }
}
