// Copying a file through the seams, in pieces of bounded size.

import Core

enum FileCopy {
  /// Returns once the copy's contents are durable; its name is once the folder has been synced.
  static func copy(_ source: String, to target: String, files: any FileSystem) async throws(RoostError) {
    let input = try await files.open(source, [.read])
    do throws(RoostError) {
      let output = try await files.open(target, [.write, .create, .truncate])
      do throws(RoostError) {
        let buffer = IOBuffer(count: 1 << 20, alignment: 4096)
        var offset: UInt64 = 0
        while true {
          let count = try await input.read(into: buffer, range: 0..<buffer.count, at: offset)
          if count == 0 { break }
          try await output.write(buffer, range: 0..<count, at: offset)
          offset += UInt64(count)
        }
        try await output.sync()
      } catch {
        await output.close()
        throw error
      }
      await output.close()
    } catch {
      await input.close()
      throw error
    }
    await input.close()
  }
}
