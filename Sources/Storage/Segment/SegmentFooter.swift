// The last page of a segment file: what is in it and where. `spec/storage.md`, "Segment".

import Core

/// The sections of a segment file that are about its rows, by the number that stands in the footer; those of the
/// vector fields are in `FieldFooter`.
enum SectionKind: UInt8, CaseIterable, Sendable {
  /// `RowEntry` of 24 bytes a row.
  case rows = 3
  /// Encoded record ids, one after the other.
  case ids = 4
  /// Hash table from id to row.
  case idTable = 5
  /// Row numbers in the order of their ids, u32 each.
  case idOrder = 6
  /// Where each payload block lies, 16 bytes a block.
  case payloadIndex = 7
  case payloads = 8
  /// Deleted ids and when: encoded id and version, ascending by id; then where each begins.
  case tombstones = 9
  /// Indexes of payload fields; empty without any.
  case attributes = 10
}

struct SegmentFooter: Sendable, Equatable {
  static let magic: UInt64 = 0x3147_4553_5453_4f52  // "ROSTSEG1"
  static let formatVersion: UInt16 = 1
  /// Where `tableChecksum` stands in the page.
  static let tableChecksumOffset = 42

  var rowCount = 0
  var tombstoneCount = 0
  /// Largest sequence number and version of anything in the segment.
  var lastSequence: UInt64 = 0
  var lastVersion = Version.zero
  /// As many as the collection has.
  var fields: [FieldFooter] = []
  var sections: [SectionKind: Section] = [:]
  var checksummedPages = 0
  var tableChecksum: UInt32 = 0

  /// One page: the fields, zeros, and the CRC-32C of all before it in the last four bytes.
  func encodedPage() -> [UInt8] {
    var writer = ByteWriter(reserving: PagedFile.pageBytes)
    writer.u64(Self.magic)
    writer.u16(Self.formatVersion)
    writer.u32(UInt32(rowCount))
    writer.u32(UInt32(tombstoneCount))
    writer.u64(lastSequence)
    lastVersion.encode(into: &writer)
    writer.u32(UInt32(checksummedPages))
    writer.u32(tableChecksum)
    writer.u8(UInt8(fields.count))
    for field in fields { field.encode(into: &writer) }
    writer.u8(UInt8(sections.count))
    for (kind, section) in sections.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      writer.u8(kind.rawValue)
      section.encode(into: &writer)
    }
    precondition(writer.count <= PagedFile.pageBytes - 4)
    writer.raw([UInt8](repeating: 0, count: PagedFile.pageBytes - 4 - writer.count))
    writer.u32(crc32c(writer.bytes))
    return writer.bytes
  }

  /// Decodes and checks a footer page: checksum, version, and that every section lies inside the file.
  /// - Parameter fileBytes: the size of the whole file; the page is its last 4096 bytes.
  init(page: UnsafeRawBufferPointer, file path: String, fileBytes: UInt64) throws(RoostError) {
    let pageBytes = PagedFile.pageBytes
    let offset = fileBytes - UInt64(pageBytes)
    func refuse(_ message: String) -> RoostError { .corrupted(message, file: path, offset: offset) }
    precondition(page.count == pageBytes)
    let stored = UInt32(littleEndian: page.loadUnaligned(fromByteOffset: pageBytes - 4, as: UInt32.self))
    let sum = crc32c(UnsafeRawBufferPointer(rebasing: page[..<(pageBytes - 4)]))
    var reader = ByteReader(page)
    // A newer version is told apart from damage: its magic and checksum are still ours.
    guard sum == stored else { throw refuse("the segment footer has a wrong checksum") }
    guard try reader.u64() == Self.magic else { throw refuse("this is not a segment file") }
    let version = try reader.u16()
    guard version == Self.formatVersion else {
      throw RoostError(
        .unsupportedVersion, "segment format \(version), this program reads \(Self.formatVersion)", at: path,
        remedy: "use the program that wrote it, or a newer one")
    }
    do throws(RoostError) {
      try decodeFields(from: &reader)
    } catch { throw refuse("the segment footer is damaged: \(error.message)") }
    let dataBytes = checksummedPages * pageBytes
    let tableBytes = (checksummedPages * 4 + pageBytes - 1) / pageBytes * pageBytes
    guard UInt64(dataBytes + tableBytes + pageBytes) == fileBytes else {
      throw refuse("the file has \(fileBytes) bytes, its footer says \(dataBytes + tableBytes + pageBytes)")
    }
    func check(_ section: Section, _ name: String) throws(RoostError) {
      guard section.byteCount <= dataBytes, section.firstPage <= checksummedPages - section.pageCount else {
        throw refuse("section \(name) lies outside the file")
      }
    }
    for (kind, section) in sections { try check(section, "\(kind)") }
    for (index, field) in fields.enumerated() {
      for section in field.sections { try check(section, "of vector field \(index)") }
      guard field.nodeCount <= rowCount else { throw refuse("vector field \(index) has too many nodes") }
    }
    guard SectionKind.allCases.allSatisfy({ sections[$0] != nil }) else {
      throw refuse("a section is missing")
    }
  }

  init() {}

  private mutating func decodeFields(from reader: inout ByteReader) throws(RoostError) {
    rowCount = Int(try reader.u32())
    tombstoneCount = Int(try reader.u32())
    lastSequence = try reader.u64()
    lastVersion = try Version(from: &reader)
    checksummedPages = Int(try reader.u32())
    tableChecksum = try reader.u32()
    for _ in 0..<(try reader.u8()) { fields.append(try FieldFooter(from: &reader)) }
    for _ in 0..<(try reader.u8()) {
      let number = try reader.u8()
      guard let kind = SectionKind(rawValue: number) else {
        throw RoostError(.corrupted, "section \(number) is unknown")
      }
      sections[kind] = try Section(from: &reader)
    }
  }

  func section(_ kind: SectionKind) -> Section { sections[kind] ?? Section(firstPage: 0, byteCount: 0) }
}
