// When a ring looks for news before it sleeps, and that connections work while it does.

import Core
import Testing

@testable import Storage

@Suite struct BusyPollTests {
  @Test func pollsOnlyWhileWaitsAreShort() {
    var poll = BusyPoll(nanosMax: 100_000)
    #expect(poll.begin() == 0)
    // Woken at 140 µs: without the time of waking it would have been in time.
    poll.end(afterNanos: 140_000)
    #expect(poll.begin() == 100_000)
    poll.end(afterNanos: 30_000)
    #expect(poll.begin() == 100_000)
    poll.end(afterNanos: 5_000_000)
    #expect(poll.begin() == 0)
  }

  @Test func pollsLessAndLessWhileItFindsNothing() {
    var poll = BusyPoll(nanosMax: 100_000)
    poll.end(afterNanos: 1000)
    for failure in 0..<20 {
      #expect(poll.begin() == 100_000)
      poll.polled(inTime: false)
      for _ in 0..<min(BusyPoll.waitsAside << failure, BusyPoll.waitsAsideMax) {
        #expect(poll.begin() == 0)
        poll.end(afterNanos: 1000)
      }
    }
    #expect(poll.begin() == 100_000)
    poll.polled(inTime: true)
    #expect(poll.begin() == 100_000)
    poll.polled(inTime: false)
    for _ in 0..<BusyPoll.waitsAside { #expect(poll.begin() == 0) }
    #expect(poll.begin() == 100_000)
  }

  /// Long and short messages to and fro, with polling for long, short and no time.
  @Test(arguments: [0, 1, 10_000]) func connectionsWork(pollMicros: Int) async throws {
    let system = try SystemRuntime(cores: 2, pollMicros: pollMicros)
    let transport = system.runtime.transport
    let listener = try await transport.listen(on: SocketAddress(host: "127.0.0.1", port: 0))
    let sizes = [1, 100, 3_000_000, 1, 70_000, 5]
    let echo = Task(executorPreference: system.rings[1]) {
      let connection = try await listener.accept()
      for size in sizes {
        let buffer = IOBuffer(count: size)
        try await receiveAll(connection, buffer)
        try await connection.send(buffer, range: 0..<size)
      }
      await connection.close()
    }
    try await Task(executorPreference: system.rings[0]) {
      let connection = try await transport.connect(to: listener.address, timeoutMs: 1000)
      for (index, size) in sizes.enumerated() {
        let sent = IOBuffer(pattern(size, seed: UInt64(index)))
        // The echo reads all before it answers, so neither side waits for the other.
        try await connection.send(sent, range: 0..<size)
        let received = IOBuffer(count: size)
        try await receiveAll(connection, received)
        #expect(received.bytes.elementsEqual(sent.bytes))
      }
      await connection.close()
    }.value
    try await echo.value
    await listener.close()
    await system.shutdown()
  }
}

private func receiveAll(_ connection: any Core.Connection, _ buffer: IOBuffer) async throws {
  var count = 0
  while count < buffer.count {
    let got = try await connection.receive(into: buffer, range: count..<buffer.count)
    try #require(got > 0)
    count += got
  }
}
