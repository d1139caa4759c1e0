// What every Transport must do, whatever is behind it.

import Core
import Testing

@testable import Storage

@Suite struct TransportConformanceTests {
  /// A connected pair over a fresh listener.
  private func pair(_ world: TestWorld) async throws -> (any Connection, any Connection, any Listener) {
    let listener = try await world.transport.listen(on: SocketAddress(host: "127.0.0.1", port: 0))
    async let accepted = listener.accept()
    let client = try await world.transport.connect(to: listener.address, timeoutMs: 5_000)
    return (client, try await accepted, listener)
  }

  private func receiveAll(_ connection: any Connection, count: Int) async throws -> [UInt8] {
    let buffer = IOBuffer(count: max(count, 1))
    var done = 0
    while done < count {
      let received = try await connection.receive(into: buffer, range: done..<count)
      if received == 0 { break }
      done += received
    }
    return Array(buffer.bytes(0..<done))
  }

  @Test(arguments: WorldKind.allCases)
  func bytesGoBothWays(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let (client, server, listener) = try await pair(world)
      #expect(listener.address.port != 0)
      try await client.send(IOBuffer(Array("hello".utf8)), range: 1..<4)
      #expect(try await receiveAll(server, count: 3) == Array("ell".utf8))
      try await server.send(IOBuffer(Array("back".utf8)), range: 0..<4)
      #expect(try await receiveAll(client, count: 4) == Array("back".utf8))
      try await client.send(IOBuffer(count: 0), range: 0..<0)
      await client.close()
      #expect(try await server.receive(into: IOBuffer(count: 8), range: 0..<8) == 0)
      await server.close()
      await listener.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func largeTransferWithASlowReader(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let (client, server, listener) = try await pair(world)
      let bytes = pattern(8 << 20)
      async let sending: Void = client.send(IOBuffer(bytes), range: 0..<bytes.count)
      let buffer = IOBuffer(count: 10_007)
      var received: [UInt8] = []
      received.reserveCapacity(bytes.count)
      while received.count < bytes.count {
        let count = try await server.receive(into: buffer, range: 0..<buffer.count)
        #expect(count > 0)
        if count == 0 { break }
        received.append(contentsOf: buffer.bytes(0..<count))
        if received.count % 7 == 0 { await Task.yield() }
      }
      try await sending
      #expect(received == bytes)
      await client.close()
      await server.close()
      await listener.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func aReaderThatStopsHoldsTheSender(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let (client, server, listener) = try await pair(world)
      // Far beyond any buffer: this send can end only through the closing.
      let sending = Task {
        await kindOfError { try await client.send(IOBuffer(count: 64 << 20), range: 0..<(64 << 20)) }
      }
      _ = try await receiveAll(server, count: 1_000)
      await client.close()
      #expect(await sending.value == .connectionClosed)
      await server.close()
      await listener.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func closingEndsAPendingReceive(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      for round in 0..<20 {
        let (client, server, listener) = try await pair(world)
        let receiving = Task {
          await kindOfError { _ = try await client.receive(into: IOBuffer(count: 8), range: 0..<8) }
        }
        for _ in 0..<round { await Task.yield() }
        await client.close()
        #expect(await receiving.value == .connectionClosed)
        #expect(
          await kindOfError { _ = try await client.receive(into: IOBuffer(count: 8), range: 0..<8) }
            == .connectionClosed)
        #expect(await kindOfError { try await client.send(IOBuffer([1]), range: 0..<1) } == .connectionClosed)
        await client.close()
        await server.close()
        await listener.close()
      }
    }
  }

  @Test(arguments: WorldKind.allCases)
  func cancellingEndsAPendingReceive(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let (client, server, listener) = try await pair(world)
      for round in 0..<20 {
        let receiving = Task {
          await kindOfError { _ = try await client.receive(into: IOBuffer(count: 8), range: 0..<8) }
        }
        for _ in 0..<round { await Task.yield() }
        receiving.cancel()
        #expect(await receiving.value == .cancelled)
      }
      // The connection itself is none the worse for it.
      try await server.send(IOBuffer([5]), range: 0..<1)
      #expect(try await receiveAll(client, count: 1) == [5])
      await client.close()
      await server.close()
      await listener.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func portInUse(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let listener = try await world.transport.listen(on: SocketAddress(host: "127.0.0.1", port: 0))
      #expect(
        await kindOfError { _ = try await world.transport.listen(on: listener.address) } == .unavailable)
      await listener.close()
      let again = try await world.transport.listen(on: listener.address)
      #expect(again.address == listener.address)
      await again.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func nobodyListens(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let listener = try await world.transport.listen(on: SocketAddress(host: "127.0.0.1", port: 0))
      await listener.close()
      #expect(
        await kindOfError { _ = try await world.transport.connect(to: listener.address, timeoutMs: 2_000) }
          == .unavailable)
    }
  }

  @Test(arguments: WorldKind.allCases)
  func closingAListenerEndsAccept(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      for round in 0..<20 {
        let listener = try await world.transport.listen(on: SocketAddress(host: "127.0.0.1", port: 0))
        let accepting = Task { await kindOfError { _ = try await listener.accept() } }
        for _ in 0..<round { await Task.yield() }
        await listener.close()
        #expect(await accepting.value == .cancelled)
        #expect(await kindOfError { _ = try await listener.accept() } == .cancelled)
        await listener.close()
      }
    }
  }

  @Test(arguments: WorldKind.allCases)
  func cancellingEndsAccept(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let listener = try await world.transport.listen(on: SocketAddress(host: "127.0.0.1", port: 0))
      for round in 0..<20 {
        let accepting = Task { await kindOfError { _ = try await listener.accept() } }
        for _ in 0..<round { await Task.yield() }
        accepting.cancel()
        #expect(await accepting.value == .cancelled)
      }
      async let accepted = listener.accept()
      let client = try await world.transport.connect(to: listener.address, timeoutMs: 5_000)
      let server = try await accepted
      #expect(!server.peer.isEmpty && !client.peer.isEmpty)
      await client.close()
      await server.close()
      await listener.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func manyConnectionsAtOnce(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      // Each holds a receive in flight: more than the submission queue has entries.
      let count = 400
      let listener = try await world.transport.listen(on: SocketAddress(host: "127.0.0.1", port: 0))
      let serving = Task {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<count {
            let connection = try await listener.accept()
            group.addTask {
              let bytes = try await receiveAll(connection, count: 100)
              try await connection.send(IOBuffer(bytes), range: 0..<bytes.count)
              await connection.close()
            }
          }
          try await group.waitForAll()
        }
      }
      try await withThrowingTaskGroup(of: (any Connection).self) { group in
        for _ in 0..<count {
          group.addTask { try await world.transport.connect(to: listener.address, timeoutMs: 10_000) }
        }
        var connections: [any Connection] = []
        for try await connection in group { connections.append(connection) }
        for (index, connection) in connections.enumerated() {
          try await connection.send(IOBuffer(pattern(100, seed: UInt64(index))), range: 0..<100)
        }
        for (index, connection) in connections.enumerated() {
          #expect(try await receiveAll(connection, count: 100) == pattern(100, seed: UInt64(index)))
          await connection.close()
        }
      }
      try await serving.value
      await listener.close()
    }
  }
}
