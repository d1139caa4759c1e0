// Writes a sealed file: sections of whole pages, then the checksum table, then the footer page.

import Core

/// Appends sections to a new file and seals it. The file counts only once `seal` has returned and
/// its folder has been synced.
///
/// Safety of `@unchecked Sendable`: confined to the one task that builds the file.
final class PagedFileWriter: @unchecked Sendable {
  /// Written at once, so that the page cache holds pages of this size, which one entry of the TLB covers each.
  private static let bufferBytes = 2 << 20

  let path: String
  private let file: any File
  private let buffer = IOBuffer(count: PagedFileWriter.bufferBytes, alignment: PagedFile.pageBytes)
  private var buffered = 0
  /// Bytes of the file before the buffer.
  private var flushed = 0
  private var checksums: [UInt32] = []
  private var sectionStart: Int?
  private var sectionBytes = 0

  private init(path: String, file: any File) {
    self.path = path
    self.file = file
  }

  static func create(_ path: String, files: any FileSystem) async throws(RoostError) -> PagedFileWriter {
    PagedFileWriter(path: path, file: try await files.open(path, [.write, .create, .truncate]))
  }

  var bytesWritten: Int { flushed + buffered }

  func beginSection() {
    precondition(sectionStart == nil)
    sectionStart = bytesWritten / PagedFile.pageBytes
    sectionBytes = 0
  }

  func append(_ bytes: UnsafeRawBufferPointer) async throws(RoostError) {
    precondition(sectionStart != nil)
    sectionBytes += bytes.count
    var rest = bytes
    while !rest.isEmpty {
      let count = min(rest.count, buffer.count - buffered)
      (buffer.base + buffered).copyMemory(from: rest.baseAddress.unsafelyUnwrapped, byteCount: count)
      buffered += count
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      if buffered == buffer.count { try await flush() }
    }
  }

  func append(_ bytes: [UInt8]) async throws(RoostError) {
    let copy = IOBuffer(bytes)
    try await append(copy.bytes)
  }

  /// Pads the section with zeros to a page boundary and returns where it lies.
  func endSection() async throws(RoostError) -> Section {
    guard let first = sectionStart else { preconditionFailure("no section is open") }
    try await padToPage()
    sectionStart = nil
    return Section(firstPage: first, byteCount: sectionBytes)
  }

  /// The first `count` bytes of `memory` as a whole section. Workers read it: it may be in a scratch file, and
  /// then a page of it may have to be fetched from the disk.
  func section(
    _ memory: AnonymousMemory, count: Int, workers: any Workers
  ) async throws(RoostError) -> Section {
    precondition(count <= memory.count)
    beginSection()
    for start in stride(from: 0, to: count, by: Self.bufferBytes) {
      let piece = IOBuffer(count: min(Self.bufferBytes, count - start))
      await workers.run {
        piece.mutableBytes.copyMemory(
          from: UnsafeRawBufferPointer(start: memory.base + start, count: piece.count))
      }
      try await append(piece.bytes)
    }
    return try await endSection()
  }

  /// A whole section of at most a few MiB.
  func section(_ bytes: [UInt8]) async throws(RoostError) -> Section {
    beginSection()
    try await append(bytes)
    return try await endSection()
  }

  /// Writes checksum table and footer, and makes the contents durable.
  /// - Returns: the size of the file in bytes.
  func seal(_ footer: SegmentFooter) async throws(RoostError) -> Int {
    precondition(sectionStart == nil)
    try await flush()
    let pages = checksums.count
    var table = ByteWriter(reserving: pages * 4)
    for sum in checksums { table.u32(sum) }
    table.pad(to: PagedFile.pageBytes)
    var footer = footer
    footer.checksummedPages = pages
    footer.tableChecksum = crc32c(table.bytes)
    let tail = IOBuffer(table.bytes + footer.encodedPage(), alignment: PagedFile.pageBytes)
    try await file.write(tail, range: 0..<tail.count, at: UInt64(flushed))
    try await file.sync()
    await file.close()
    return flushed + tail.count
  }

  func abandon() async { await file.close() }

  private func padToPage() async throws(RoostError) {
    let rest = buffered % PagedFile.pageBytes
    guard rest != 0 else { return }
    (buffer.base + buffered).initializeMemory(as: UInt8.self, repeating: 0, count: PagedFile.pageBytes - rest)
    buffered += PagedFile.pageBytes - rest
    if buffered == buffer.count { try await flush() }
  }

  private func flush() async throws(RoostError) {
    precondition(buffered % PagedFile.pageBytes == 0)
    guard buffered > 0 else { return }
    for start in stride(from: 0, to: buffered, by: PagedFile.pageBytes) {
      checksums.append(crc32c(buffer.bytes(start..<start + PagedFile.pageBytes)))
    }
    try await file.write(buffer, range: 0..<buffered, at: UInt64(flushed))
    flushed += buffered
    buffered = 0
  }
}
