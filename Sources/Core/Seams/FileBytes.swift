// Whole files in one piece: read with a bound, replaced so that a crash leaves the old one or the new one.

package enum FileBytes {
  /// Throws `.corrupted` when the file is longer than `limit`.
  package static func read(
    _ path: String, atMost limit: Int, files: any FileSystem
  ) async throws(RoostError) -> [UInt8] {
    let buffer = try await buffer(path, atMost: limit, files: files)
    return withExtendedLifetime(buffer) { Array(buffer.bytes) }
  }

  /// As `read`, without a copy.
  package static func buffer(
    _ path: String, atMost limit: Int, files: any FileSystem
  ) async throws(RoostError) -> IOBuffer {
    let file = try await files.open(path, [.read])
    do throws(RoostError) {
      let size = try await file.size()
      guard size <= UInt64(limit) else { throw .corrupted("the file is too large", file: path, offset: 0) }
      let buffer = IOBuffer(count: Int(size))
      let count = try await file.read(into: buffer, range: 0..<buffer.count, at: 0)
      guard count == buffer.count else {
        throw .corrupted("the file is cut short", file: path, offset: UInt64(count))
      }
      await file.close()
      return buffer
    } catch {
      await file.close()
      throw error
    }
  }

  /// Puts a file of these bytes in the place of what was there; durable when this returns.
  package static func replace(
    _ path: String, with bytes: [UInt8], in directory: String, options: OpenOptions = [],
    files: any FileSystem
  ) async throws(RoostError) {
    let temporary = path + ".tmp"
    let file = try await files.open(temporary, options.union([.write, .create, .truncate]))
    do throws(RoostError) {
      try await file.write(IOBuffer(bytes), range: 0..<bytes.count, at: 0)
      try await file.sync()
    } catch {
      await file.close()
      throw error
    }
    await file.close()
    try await files.rename(temporary, to: path)
    try await files.syncDirectory(directory)
  }
}
