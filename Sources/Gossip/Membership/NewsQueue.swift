// The news that a node passes on, each a bounded number of times, the least told first.

import Core

/// At most one piece of news about each member: a later one replaces it.
struct NewsQueue: Sendable {
  private struct Item {
    var bytes: [UInt8]
    var told: Int
    /// Age; newer first among those told equally often.
    var number: Int
  }

  private var items: [MemberID: Item] = [:]
  private var number = 0

  var isEmpty: Bool { items.isEmpty }
  var count: Int { items.count }

  mutating func add(_ update: MemberUpdate) {
    var writer = ByteWriter(reserving: 64)
    update.encode(into: &writer)
    number += 1
    items[update.member] = Item(bytes: writer.bytes, told: 0, number: number)
  }

  /// Appends as much as fits into `room` bytes; forgets what has been told `limit` times.
  mutating func take(room: Int, limit: Int, into writer: inout ByteWriter) {
    guard !items.isEmpty else { return }
    var left = room
    let order = items.sorted { a, b in
      a.value.told != b.value.told ? a.value.told < b.value.told : a.value.number > b.value.number
    }
    for (member, item) in order where item.bytes.count <= left {
      left -= item.bytes.count
      writer.raw(item.bytes)
      if item.told + 1 >= limit { items[member] = nil } else { items[member]!.told += 1 }
    }
  }
}
