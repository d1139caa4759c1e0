// The bytes of `modules/REGISTRY` (`spec/modules.md`, "Registry file"): the whole table, replaced at once.

import Core
import Wire

extension RegistryTable {
  private static let magic = Array("RoostMod".utf8)
  private static let formatVersion: UInt32 = 1
  /// A table of 256 modules with 32 versions each of up to 1,024 exports would be larger; that is refused.
  static let fileBytesMax = 32 << 20
  private static let exportsMax = 1_024

  func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.raw(RegistryTable.magic)
    writer.u32(RegistryTable.formatVersion)
    writer.count(entries.count)
    for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
      writer.string(name)
      entry.encode(into: &writer)
    }
    writer.u32(crc32c(writer.bytes))
    return writer.bytes
  }

  /// Throws `.corrupted` for bytes that are no table, `.unsupportedVersion` for one of a newer format.
  init(decoding bytes: [UInt8], file: String) throws(RoostError) {
    func refuse(_ message: String, _ offset: Int = 0) -> RoostError {
      RoostError(
        .corrupted, message, at: "\(file) offset \(offset)",
        remedy: "put back the file from a backup, or remove it and publish the modules again")
    }
    guard bytes.count >= 16, bytes.starts(with: RegistryTable.magic) else {
      throw refuse("the file is no registry of modules")
    }
    let body = bytes.count - 4
    let sum = bytes[body...].reversed().reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
    guard crc32c(Array(bytes[..<body])) == sum else { throw refuse("the checksum does not match") }
    let entries: [String: ModuleEntry]
    do throws(RoostError) {
      entries = try Array(bytes[8..<body]).withReader { (reader) throws(RoostError) in
        let version = try reader.u32()
        guard version == RegistryTable.formatVersion else {
          throw RoostError(
            .unsupportedVersion, "the registry has format \(version)", at: file,
            remedy: "use the program that wrote it, or a newer one")
        }
        return try RegistryTable.entries(&reader)
      }
    } catch {
      throw error.kind == .unsupportedVersion ? error : refuse(error.message)
    }
    self.init(entries: entries)
  }

  private static func entries(_ reader: inout ByteReader) throws(RoostError) -> [String: ModuleEntry] {
    let count = try reader.count("module count", atMost: modulesMax)
    var entries: [String: ModuleEntry] = [:]
    var last = ""
    for index in 0..<count {
      let name = try reader.string("module name", atMost: Limits.nameBytesMax)
      try validateName(name, what: "module")
      guard index == 0 || last < name else {
        throw RoostError(.corrupted, "the modules do not ascend by name", at: "byte \(reader.offset)")
      }
      last = name
      entries[name] = try ModuleEntry(from: &reader)
    }
    try reader.expectEnd("the registry")
    return entries
  }

  fileprivate static func state(_ reader: inout ByteReader) throws(RoostError) -> Payload {
    let start = reader.offset
    let state = try Payload(from: &reader)
    guard reader.offset - start <= Limits.payloadBytesMax else {
      throw RoostError(.corrupted, "a state of \(reader.offset - start) bytes", at: "byte \(start)")
    }
    return state
  }

  fileprivate static func exports(_ reader: inout ByteReader) throws(RoostError) -> [String] {
    var exports: [String] = []
    for _ in 0..<(try reader.count("export count", atMost: exportsMax)) {
      exports.append(try reader.string("export name", atMost: Limits.fieldNameBytesMax))
    }
    return exports
  }
}

extension ModuleEntry {
  fileprivate func encode(into writer: inout ByteWriter) {
    writer.count(releases.count)
    for release in releases { release.encode(into: &writer) }
    writer.u32(nextNumber)
    writer.u32(current ?? 0)
    writer.count(previous.count)
    for number in previous { writer.u32(number) }
    writer.u32(canary?.version ?? 0)
    writer.u8(canary?.percent ?? 0)
    writer.u8(isPinned ? 1 : 0)
    writer.u16(grants)
    quota.encode(into: &writer)
    state.encode(into: &writer)
    changed.encode(into: &writer)
  }

  fileprivate init(from reader: inout ByteReader) throws(RoostError) {
    func refuse(_ message: String) -> RoostError {
      RoostError(.corrupted, message, at: "byte \(reader.offset)")
    }
    var releases: [ModuleRelease] = []
    for _ in 0..<(try reader.count("version count", atMost: RegistryTable.versionsMax)) {
      let release = try ModuleRelease(from: &reader)
      guard release.number > releases.last?.number ?? 0 else { throw refuse("the versions do not ascend") }
      releases.append(release)
    }
    guard let newest = releases.last else { throw refuse("a module without versions") }
    let numbers = Set(releases.map(\.number))
    let nextNumber = try reader.u32()
    guard nextNumber > newest.number else { throw refuse("version \(nextNumber) would be given twice") }
    let current = try reader.u32()
    guard current == 0 || numbers.contains(current) else { throw refuse("no current version \(current)") }
    var previous: [UInt32] = []
    for _ in 0..<(try reader.count("version count", atMost: RegistryTable.previousMax)) {
      let number = try reader.u32()
      guard numbers.contains(number), !previous.contains(number), number != current else {
        throw refuse("version \(number) cannot have been current before")
      }
      previous.append(number)
    }
    let canary = ModuleCanary(version: try reader.u32(), percent: try reader.u8())
    let hasCanary = canary.version != 0
    guard
      hasCanary
        ? numbers.contains(canary.version) && canary.version != current && (1...100).contains(canary.percent)
        : canary.percent == 0
    else { throw refuse("no canary of version \(canary.version) with \(canary.percent)%") }
    let pinned = try reader.u8()
    guard pinned <= 1, pinned == 0 || current != 0 else { throw refuse("nothing can be pinned") }
    self.init(
      releases: releases, nextNumber: nextNumber, current: current == 0 ? nil : current, previous: previous,
      canary: hasCanary ? canary : nil, isPinned: pinned == 1, grants: try reader.u16(),
      quota: try ModuleQuota(from: &reader), state: try RegistryTable.state(&reader),
      changed: try Version(from: &reader))
  }
}

extension ModuleRelease {
  fileprivate func encode(into writer: inout ByteWriter) {
    writer.u32(number)
    writer.u8(kind.rawValue)
    writer.u64(byteCount)
    writer.raw(digest.bytes)
    writer.u8((model == nil ? 0 : 1) | (signature == nil ? 0 : 2))
    if let model { writer.raw(model.bytes) }
    signature?.encode(into: &writer)
    writer.count(exports.count)
    for export in exports { writer.string(export) }
    published.encode(into: &writer)
  }

  fileprivate init(from reader: inout ByteReader) throws(RoostError) {
    func digest() throws(RoostError) -> Digest {
      guard let digest = Digest(bytes: try reader.array(Digest.byteCount)) else {
        throw RoostError(.corrupted, "a short digest", at: "byte \(reader.offset)")
      }
      return digest
    }
    let number = try reader.u32()
    let start = reader.offset
    guard let kind = ModuleKind(rawValue: try reader.u8()) else {
      throw RoostError(.corrupted, "unknown module kind", at: "byte \(start)")
    }
    let byteCount = try reader.u64()
    guard byteCount <= UInt64(Limits.moduleBytesMax) else {
      throw RoostError(.corrupted, "a module of \(byteCount) bytes", at: "byte \(start)")
    }
    let content = try digest()
    let flags = try reader.u8()
    guard flags <= 3 else { throw RoostError(.corrupted, "unknown flags \(flags)", at: "byte \(start)") }
    self.init(
      number: number, kind: kind, byteCount: byteCount, digest: content,
      model: flags & 1 != 0 ? try digest() : nil, exports: [],
      signature: flags & 2 != 0 ? try ModuleSignature(from: &reader) : nil, published: .zero)
    exports = try RegistryTable.exports(&reader)
    published = try Version(from: &reader)
  }
}

/// The entry for fuzzing: whatever bytes come, they are read or refused with a typed error.
package enum RegistryFuzz {
  /// - Parameter input: a file, or with an odd first byte its body, which gets the right frame.
  package static func run(_ input: [UInt8]) {
    guard let first = input.first else { return }
    var bytes = Array(input.dropFirst())
    if first & 1 == 1 { bytes = file(bytes) }
    guard let table = try? RegistryTable(decoding: bytes, file: "fuzz") else { return }
    precondition(table.encoded() == bytes, "a registry does not survive encoding")
  }

  /// A file with this body.
  static func file(_ body: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    writer.raw(Array("RoostMod".utf8) + [1, 0, 0, 0] + body)
    writer.u32(crc32c(writer.bytes))
    return writer.bytes
  }

  /// The body of a file to start mutating from.
  package static func sample() -> [UInt8] {
    let signature = ModuleSignature(
      key: [UInt8](repeating: 1, count: 32), signature: [UInt8](repeating: 2, count: 64))
    func release(_ number: UInt32) -> ModuleRelease {
      ModuleRelease(
        number: number, kind: .embedder, byteCount: 100, digest: Digest(of: [UInt8(number)]),
        model: number == 2 ? Digest(of: [0]) : nil, exports: ["memory", "roost_embed"],
        signature: number == 3 ? signature : nil, published: Version(time: 9, node: 7))
    }
    let entry = ModuleEntry(
      releases: [release(1), release(2), release(3)], nextNumber: 4, current: 2, previous: [1],
      canary: ModuleCanary(version: 3, percent: 5), isPinned: true, grants: 3,
      quota: ModuleQuota(calls: 4, cpuPercent: 50),
      state: Payload(["rate": .double(0.5), "zones": .array([.string("a")])]),
      changed: Version(time: 10, node: 7))
    let table = RegistryTable(entries: ["a": entry, "b.c": entry])
    return Array(table.encoded()[12...].dropLast(4))
  }
}
