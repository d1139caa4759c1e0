// The bytes of membership: golden vectors, a round trip of everything, and refusals.

import Core
import Testing

@testable import Gossip

@Suite struct MembershipPacketTests {
  private static let info = MemberInfo(
    name: "edge-7", address: SocketAddress(host: "10.1.2.3", port: 7041), zone: "rack-2", region: "eu",
    capacity: 150, protocolMin: 1, protocolMax: 3)

  static var updates: [MemberUpdate] {
    [
      .alive(MemberID(0x0102_0304_0506_0708), incarnation: 300, info),
      .suspect(MemberID(2), incarnation: 1, by: MemberID(3)),
      .dead(MemberID(4), incarnation: 0, by: MemberID(5)),
      .left(MemberID(6), incarnation: 7),
    ]
  }

  static var samples: [(name: String, about: String, purpose: MembershipPacket.Purpose)] {
    [
      ("ping", "ping 9 of member 2, and all four kinds of news", .ping(number: 9, target: MemberID(2))),
      ("ack", "ack of 9", .ack(number: 9)),
      (
        "indirect", "indirect ping 9 of member 2 at host:7041",
        .indirect(number: 9, target: MemberID(2), address: SocketAddress(host: "host", port: 7041))
      ),
      ("nack", "nack of 9", .nack(number: 9)), ("news", "only news", .news),
      ("compare", "compare", .compare(fingerprint: 0x1122_3344_5566_7788)),
      ("state", "state that wants a reply", .state(wantsReply: true)),
      ("state-reply", "state in reply", .state(wantsReply: false)),
    ]
  }

  @Test func goldenVectors() throws {
    for sample in Self.samples {
      let packet = MembershipPacket(
        cluster: 0xc1, sender: MemberID(0xaa), purpose: sample.purpose,
        updates: sample.name == "ping" ? Self.updates : [])
      GoldenFolder.check("member-\(sample.name)", about: sample.about, packet.encoded)
      #expect(try MembershipPacket(decoding: packet.encoded) == packet)
      for count in 0..<packet.encoded.count {
        guard let cut = try? MembershipPacket(decoding: Array(packet.encoded.prefix(count))) else { continue }
        #expect(cut.updates.count < packet.updates.count, "\(sample.name) cut to \(count)")
      }
    }
    let header = SealHeader(keyNumber: 2, sender: MemberID(0xaa), salt: 0x0102_0304_0506_0708, counter: 258)
    GoldenFolder.check("seal-header", about: "seal header: key 2, member 0xaa, counter 258", header.encoded)
    GoldenFolder.check("seal-nonce", about: "the nonce of that header", header.nonce)
    let again = try header.encoded.withReader { (reader) throws(RoostError) in try SealHeader(from: &reader) }
    #expect(again == header && header.encoded.count == SealHeader.byteCount)
  }

  @Test func malformedPacketsAreRefused() {
    let head = MembershipPacket(cluster: 1, sender: MemberID(1), purpose: .news).encoded
    let id: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
    let name: [UInt8] = [1, 0x61]
    let cases: [(String, [UInt8])] = [
      ("version 2", [2] + head.dropFirst()), ("kind 9", head.dropLast() + [9]),
      ("state 4", head + [4] + id + [0]),
      (
        "an incarnation that cannot be contradicted",
        head + [3] + id + [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]
      ),
      ("no name", head + [0] + id + [0, 0] + name + [0, 0, 0, 0, 0, 0, 1, 1]),
      ("no host", head + [0] + id + [0] + name + [0, 0, 0, 0, 0, 0, 0, 1, 1]),
      ("protocols 2 to 1", head + [0] + id + [0] + name + name + [0, 0, 0, 0, 0, 0, 2, 1]),
      ("a name that is not UTF-8", head + [0] + id + [0, 1, 0xff] + name + [0, 0, 0, 0, 0, 0, 1, 1]),
      ("a long zone", head + [0] + id + [0] + name + name + [0, 0, 33] + Array(repeating: 0x61, count: 60)),
    ]
    for (what, bytes) in cases {
      #expect(throws: RoostError.self, "\(what)") { try MembershipPacket(decoding: bytes) }
    }
  }

  @Test func suspicionShortensWithConfirmations() {
    var suspicion = Suspicion(by: MemberID(1), wanted: 2, minNanos: 4e9, maxNanos: 24e9, nowNanos: 100)
    #expect(suspicion.deadlineNanos == 24_000_000_100)
    let again = suspicion.confirm(by: MemberID(1))
    let second = suspicion.confirm(by: MemberID(2))
    let middle = suspicion.deadlineNanos
    #expect(!again && second && middle > 4_000_000_100 && middle < 24_000_000_100)
    let third = suspicion.confirm(by: MemberID(3))
    #expect(third && suspicion.deadlineNanos == 4_000_000_100)
    let fourth = suspicion.confirm(by: MemberID(4))
    #expect(!fourth)
    #expect(
      Suspicion(by: MemberID(1), wanted: 0, minNanos: 4e9, maxNanos: 24e9, nowNanos: 0).deadlineNanos
        == 4_000_000_000)
  }

  @Test func newsIsToldOftenEnoughAndNotMore() {
    var news = NewsQueue()
    for number in 0..<10 as Range<UInt64> { news.add(.left(MemberID(number), incarnation: 1)) }
    news.add(.left(MemberID(3), incarnation: 2))
    var told: [MemberUpdate: Int] = [:]
    var rounds = 0
    while !news.isEmpty, rounds < 100 {
      rounds += 1
      var writer = ByteWriter()
      news.take(room: 35, limit: 4, into: &writer)
      #expect(writer.count <= 35 && writer.count > 0)
      do throws(RoostError) {
        try writer.bytes.withReader { (reader) throws(RoostError) in
          while !reader.isAtEnd { told[try MemberUpdate(from: &reader), default: 0] += 1 }
        }
      } catch { Issue.record("\(error)") }
    }
    #expect(told.count == 10 && told.values.allSatisfy { $0 == 4 })
    #expect(told[.left(MemberID(3), incarnation: 2)] == 4)
  }
}
