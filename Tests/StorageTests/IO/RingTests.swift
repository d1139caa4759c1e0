// What only the ring has: threads, shutdown, sleeping, names and literal addresses of the real network.

import Core
import Glibc
import Testing

@testable import Storage

@Suite struct RingTests {
  @Test func tasksThatPreferTheRingStayOnItsThread() async throws {
    let system = try SystemRuntime(cores: 2)
    let directory = try makeTemporaryDirectory()
    let files = system.runtime.files
    let file = try await files.open("\(directory)/a", [.read, .write, .create])
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<100 {
        let ring = system.rings[index % 2]
        group.addTask(executorPreference: ring) {
          #expect(Ring.current === ring)
          let buffer = IOBuffer(pattern(64, seed: UInt64(index)))
          try await file.write(buffer, range: 0..<64, at: UInt64(index) * 64)
          #expect(Ring.current === ring)
          _ = try await file.read(into: buffer, range: 0..<64, at: UInt64(index) * 64)
          #expect(Ring.current === ring)
          #expect(buffer.bytes.elementsEqual(pattern(64, seed: UInt64(index))))
          try await system.runtime.clock.sleep(nanos: 1_000)
          #expect(Ring.current === ring)
        }
      }
      try await group.waitForAll()
    }
    await file.close()
    await removeTree(directory, files)
    await system.shutdown()
  }

  @Test func shutdownEndsOpenEndedOperationsAndFinishesFiles() async throws {
    let system = try SystemRuntime(cores: 2)
    let runtime = system.runtime
    let directory = try makeTemporaryDirectory()
    let file = try await runtime.files.open("\(directory)/a", [.read, .write, .create])
    let listener = try await runtime.transport.listen(on: SocketAddress(host: "127.0.0.1", port: 0))
    let accepting = Task { await kindOfError { _ = try await listener.accept() } }
    let onRing = Task(executorPreference: system.rings[1]) {
      await kindOfError { try await runtime.clock.sleep(nanos: 3_600_000_000_000) }
    }
    let offRing = Task { await kindOfError { try await runtime.clock.sleep(nanos: 3_600_000_000_000) } }
    let writing = (0..<500).map { index in
      Task(executorPreference: system.rings[index % 2]) { () -> Bool in
        let kind = await kindOfError {
          try await file.write(IOBuffer([UInt8(index & 0xff)]), range: 0..<1, at: UInt64(index))
        }
        return kind == nil
      }
    }
    // Let them begin: what has not begun by the end of the ring is refused instead.
    for task in writing.prefix(250) { #expect(await task.value) }
    await system.shutdown()
    #expect(await accepting.value == .cancelled)
    #expect(await onRing.value == .cancelled)
    #expect(await offRing.value == .cancelled)
    // Every task has ended, and a write that reported success is there.
    let bytes = try await Array(
      TestWorld(
        kind: .ring, files: try Runtime.system().files, transport: try Runtime.system().transport,
        directory: directory
      ).readAll("a"))
    for (index, task) in writing.enumerated() where await task.value {
      #expect(bytes[index] == UInt8(index & 0xff))
    }
    // Afterwards: refused, not hung.
    #expect(await kindOfError { _ = try await runtime.files.exists(directory) } == .cancelled)
    #expect(await kindOfError { try await runtime.clock.sleep(nanos: 1) } == .cancelled)
    let late = Task(executorPreference: system.rings[0]) {
      await Task.yield()
      return await kindOfError { _ = try await runtime.files.exists(directory) }
    }
    #expect(await late.value == .cancelled)
    await system.shutdown()
    await file.close()
    await removeTree(directory, try Runtime.system().files)
  }

  @Test func shutdownFromItsOwnRing() async throws {
    for _ in 0..<10 {
      let system = try SystemRuntime(cores: 2)
      await Task(executorPreference: system.rings[0]) {
        await system.shutdown()
        await Task.yield()
      }.value
    }
  }

  @Test func sleepsInOrderAndCancels() async throws {
    let clock = try Runtime.system().clock
    let start = clock.monotonicNanos()
    try await clock.sleep(nanos: 5_000_000)
    #expect(clock.monotonicNanos() - start >= 5_000_000)
    try await clock.sleep(nanos: 0)
    for round in 0..<50 {
      let sleeping = Task { await kindOfError { try await clock.sleep(nanos: 3_600_000_000_000) } }
      for _ in 0..<round % 7 { await Task.yield() }
      sleeping.cancel()
      #expect(await sleeping.value == .cancelled)
    }
  }

  @Test func actorsOnTheRing() async throws {
    actor Counter {
      var value = 0
      func add(_ clock: any Clock) async throws {
        value += 1
        try await clock.sleep(nanos: 1)
      }
    }
    let system = try SystemRuntime.shared()
    let counter = Counter()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<200 {
        // Half of them contend from the default executor.
        group.addTask(executorPreference: index % 2 == 0 ? system.rings[0] : nil) {
          try await counter.add(system.runtime.clock)
        }
      }
      try await group.waitForAll()
    }
    #expect(await counter.value == 200)
  }

  @Test func workersRunSideBySide() async throws {
    let workers = try Runtime.system().workers
    #expect(workers.width == onlineCores())
    let results = await withTaskGroup(of: Int.self) { group in
      for index in 0..<100 { group.addTask { await workers.run { index * 2 } } }
      return await group.reduce(0, +)
    }
    #expect(results == 9_900)
  }

  @Test func randomWordsDiffer() throws {
    let random = try Runtime.system().random
    #expect(Set((0..<1_000).map { _ in random.next() }).count == 1_000)
  }

  @Test func runBlocksUntilTheBodyEnds() async throws {
    let system = try SystemRuntime(cores: 1)
    let outcome = await withCheckedContinuation { continuation in
      var handle = pthread_t()
      let request = Unmanaged.passRetained(Request(system, continuation))
      pthread_create(
        &handle, nil,
        { raw in
          guard let raw else { return nil }
          let request = Unmanaged<Request>.fromOpaque(raw).takeRetainedValue()
          let value = try? request.system.run {
            try await request.system.runtime.clock.sleep(nanos: 1_000)
            return 42
          }
          request.continuation.resume(returning: value ?? 0)
          return nil
        }, request.toOpaque())
      pthread_detach(handle)
    }
    #expect(outcome == 42)
    await system.shutdown()
  }

  private final class Request: Sendable {
    let system: SystemRuntime
    let continuation: CheckedContinuation<Int, Never>
    init(_ system: SystemRuntime, _ continuation: CheckedContinuation<Int, Never>) {
      self.system = system
      self.continuation = continuation
    }
  }

  @Test func namesAndBothFamilies() async throws {
    let transport = try Runtime.system().transport
    for host in ["127.0.0.1", "::1", "localhost"] {
      let listener = try await transport.listen(on: SocketAddress(host: host, port: 0))
      async let accepted = listener.accept()
      let client = try await transport.connect(to: listener.address, timeoutMs: 5_000)
      let server = try await accepted
      try await client.send(IOBuffer([1, 2, 3]), range: 0..<3)
      let buffer = IOBuffer(count: 3)
      #expect(try await server.receive(into: buffer, range: 0..<3) > 0)
      await client.close()
      await server.close()
      await listener.close()
    }
    #expect(
      await kindOfError {
        _ = try await transport.connect(
          to: SocketAddress(host: "no-such-host.invalid", port: 1), timeoutMs: 5_000)
      } == .notFound)
  }

  @Test func connectingGivesUpInTime() async throws {
    let transport = try Runtime.system().transport
    let listener = try await transport.listen(on: SocketAddress(host: "127.0.0.1", port: 0))
    // TEST-NET-1 (RFC 5737) is never routed: either the time runs out or the network refuses at once.
    let kind = await kindOfError {
      _ = try await transport.connect(to: SocketAddress(host: "192.0.2.1", port: 9), timeoutMs: 50)
    }
    #expect(kind == .deadlineExceeded || kind == .unavailable)
    let connecting = Task {
      await kindOfError {
        _ = try await transport.connect(to: SocketAddress(host: "192.0.2.1", port: 9), timeoutMs: 60_000)
      }
    }
    connecting.cancel()
    let cancelled = await connecting.value
    #expect(cancelled == .cancelled || cancelled == .unavailable)
    await listener.close()
  }

  @Test func errorsNameThePathAndTheRemedy() async throws {
    let files = try Runtime.system().files
    do {
      _ = try await files.open("/none/such", .read)
      Issue.record("the open should have failed")
    } catch {
      #expect(error.kind == .notFound && error.place == "/none/such" && !error.remedy.isEmpty)
    }
    #expect(RoostError.system(ENOSPC, "write", at: "p").kind == .noSpace)
    #expect(RoostError.system(EDQUOT, "write", at: "p").kind == .noSpace)
    #expect(RoostError.system(EROFS, "write", at: "p").kind == .readOnly)
    #expect(RoostError.system(EACCES, "write", at: "p").kind == .permissionDenied)
    #expect(RoostError.system(EIO, "write", at: "p").kind == .io)
    #expect(await kindOfError { _ = try await files.open("/tmp/a\0b", .read) } == .invalidArgument)
    // The full device of Linux: a write really meets ENOSPC.
    let full = try await files.open("/dev/full", .write)
    #expect(await kindOfError { try await full.write(IOBuffer([1]), range: 0..<1, at: 0) } == .noSpace)
    await full.close()
  }
}
