// Counters of a server, for statistics.

import Synchronization

/// Counts since the server began. Each counter is exact; together they are not one instant.
package final class ServerMetrics: Sendable {
  package let connectionsAccepted = Atomic<UInt64>(0)
  package let connectionsRefused = Atomic<UInt64>(0)
  package let requests = Atomic<UInt64>(0)
  package let errors = Atomic<UInt64>(0)
  package let framesRefused = Atomic<UInt64>(0)
  package let slowReadersClosed = Atomic<UInt64>(0)

  package init() {}
}
