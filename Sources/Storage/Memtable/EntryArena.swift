// Ids, versions and payloads of the rows of a memtable: append-only memory that readers use while
// the one writer appends. A row is readable once the writer has published a row count above it.

import Core

/// Appended by one writer, read by many without locks.
final class EntryArena: Sendable {
  let capacity: Int
  private let memory: AnonymousMemory
  /// Byte offset of each row's entry.
  private let offsets: AtomicWords
  private let used: AtomicWords

  // entry := payload count u32, id count u8, version (u64, u32), id, payload
  private static let fixedBytes = 4 + 1 + Version.byteCount

  /// - Parameter bytes: room for all entries; `fits` tells when it runs out.
  init(capacity: Int, bytes: Int) throws(RoostError) {
    self.capacity = capacity
    memory = try AnonymousMemory(count: bytes)
    offsets = try AtomicWords(count: capacity)
    used = try AtomicWords(count: 1)
  }

  var usedBytes: Int { Int(used.load(0)) }

  static func byteCount(idBytes: Int, payloadBytes: Int) -> Int { fixedBytes + idBytes + payloadBytes }

  func fits(bytes: Int) -> Bool { usedBytes + bytes <= memory.count }

  /// Writer only. The caller has checked `fits`.
  func set(row: Int, id: [UInt8], version: Version, payload: [UInt8]) {
    let start = usedBytes
    let total = Self.byteCount(idBytes: id.count, payloadBytes: payload.count)
    precondition(start + total <= memory.count && row < capacity)
    let base = memory.base + start
    base.storeBytes(of: UInt32(payload.count), as: UInt32.self)
    base.storeBytes(of: UInt8(id.count), toByteOffset: 4, as: UInt8.self)
    base.storeBytes(of: version.time, toByteOffset: 5, as: UInt64.self)
    base.storeBytes(of: version.node, toByteOffset: 13, as: UInt32.self)
    id.withUnsafeBytes { (base + Self.fixedBytes).copyMemory(from: $0.baseAddress!, byteCount: id.count) }
    payload.withUnsafeBytes { raw in
      if let source = raw.baseAddress {
        (base + Self.fixedBytes + id.count).copyMemory(from: source, byteCount: raw.count)
      }
    }
    offsets.store(UInt64(start), at: row)
    used.store(UInt64(start + total), at: 0)
  }

  private func entry(_ row: Int) -> UnsafeRawPointer {
    UnsafeRawPointer(memory.base + Int(offsets.load(row)))
  }

  func version(_ row: Int) -> Version {
    let base = entry(row)
    return Version(
      time: base.loadUnaligned(fromByteOffset: 5, as: UInt64.self),
      node: base.loadUnaligned(fromByteOffset: 13, as: UInt32.self))
  }

  /// The encoded id (`RecordID.encode`).
  func idBytes(_ row: Int) -> UnsafeRawBufferPointer {
    let base = entry(row)
    return UnsafeRawBufferPointer(
      start: base + Self.fixedBytes, count: Int(base.load(fromByteOffset: 4, as: UInt8.self)))
  }

  /// The encoded payload; valid as long as the arena.
  func payload(_ row: Int) -> UnsafeRawBufferPointer {
    let base = entry(row)
    let skip = Self.fixedBytes + Int(base.load(fromByteOffset: 4, as: UInt8.self))
    return UnsafeRawBufferPointer(start: base + skip, count: Int(base.loadUnaligned(as: UInt32.self)))
  }
}
