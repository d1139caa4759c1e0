// A disk of a few megabytes in memory, which tests may fill or make read-only.

import Core
import Foundation
import Glibc

/// A mounted tmpfs.
struct SmallDisk {
  let folder: TemporaryFolder
  private var ballast: String { folder.path + "/ballast" }

  /// Nil when this user or this container may not mount.
  init?(megabytes: Int) {
    folder = TemporaryFolder()
    guard mount("tmpfs", folder.path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
      folder.remove()
      return nil
    }
  }

  static var isPossible: Bool {
    guard let disk = SmallDisk(megabytes: 1) else { return false }
    disk.remove()
    return true
  }

  static let whenImpossible = "needs the right to mount a tmpfs: run the tests as root"

  /// Fills the disk, but for `leaving` bytes.
  func fill(leaving: Int = 0) throws {
    var status = statvfs()
    guard statvfs(folder.path, &status) == 0 else { throw RoostError(.io, "statvfs", at: folder.path) }
    let count = Int(status.f_bavail) * Int(status.f_bsize) - leaving
    guard count > 0 else { return }
    try Data(count: count).write(to: URL(fileURLWithPath: ballast))
  }

  func free() throws { try FileManager.default.removeItem(atPath: ballast) }

  func setReadOnly(_ isReadOnly: Bool) throws {
    let flags = UInt(MS_REMOUNT) | (isReadOnly ? UInt(MS_RDONLY) : 0)
    guard mount("tmpfs", folder.path, "tmpfs", flags, nil) == 0 else {
      throw RoostError(.io, "cannot remount: error \(errno)", at: folder.path)
    }
  }

  func remove() {
    umount2(folder.path, Int32(MNT_DETACH))
    folder.remove()
  }
}
