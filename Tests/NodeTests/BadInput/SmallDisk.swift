// A disk of a few megabytes in memory, which tests may fill or make read-only.

import Core
import Foundation
import Glibc

/// A mounted tmpfs; gone with the value, also when a test throws.
final class SmallDisk {
  let folder: TemporaryFolder
  private var ballast: String { folder.path + "/ballast" }

  /// Nil when this user or this container may not mount.
  init?(megabytes: Int) {
    folder = TemporaryFolder()
    guard mount("tmpfs", folder.path, "tmpfs", 0, "size=\(megabytes)m") == 0 else { return nil }
  }

  static var isPossible: Bool { SmallDisk(megabytes: 1) != nil }

  static let whenImpossible = "needs the right to mount a tmpfs: run the tests as root"

  /// Fills what is free now, but for `leaving` bytes.
  func fill(leaving: Int = 0) throws {
    var status = statvfs()
    guard statvfs(folder.path, &status) == 0 else { throw RoostError(.io, "statvfs", at: folder.path) }
    let count = Int(status.f_bavail) * Int(status.f_bsize) - leaving
    guard count > 0 else { return }
    if !FileManager.default.fileExists(atPath: ballast) {
      FileManager.default.createFile(atPath: ballast, contents: nil)
    }
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: ballast))
    try file.seekToEnd()
    // The node may take some of it meanwhile; then the disk is full before the end, and that will do.
    try? file.write(contentsOf: Data(count: count))
    try file.close()
  }

  func free() throws { try FileManager.default.removeItem(atPath: ballast) }

  func setReadOnly(_ isReadOnly: Bool) throws {
    let flags = UInt(MS_REMOUNT) | (isReadOnly ? UInt(MS_RDONLY) : 0)
    guard mount("tmpfs", folder.path, "tmpfs", flags, nil) == 0 else {
      throw RoostError(.io, "cannot remount: error \(errno)", at: folder.path)
    }
  }

  deinit {
    umount2(folder.path, Int32(MNT_DETACH))
    folder.remove()
  }
}
