// The compilers that guests are built with: all three come with the Swift tool chain.

import Core
import Glibc

struct GuestTools: Sendable {
  let swiftc: String
  let clang: String
  let linker: String

  init() throws(RoostError) {
    swiftc = try GuestTools.find("swiftc", beside: nil)
    // The tool chain's own clang and wasm-ld, of the same LLVM, before any other in PATH.
    let folder = GuestTools.realFolder(of: swiftc)
    clang = try GuestTools.find("clang", beside: folder)
    linker = try GuestTools.find("wasm-ld", beside: folder)
  }

  private static func realFolder(of path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    let text = String(cString: resolved)
    return text.lastIndex(of: "/").map { String(text[..<$0]) }
  }

  private static func find(_ name: String, beside folder: String?) throws(RoostError) -> String {
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    let folders = (folder.map { [$0] } ?? []) + path.split(separator: ":").map(String.init)
    for folder in folders where access(folder + "/" + name, X_OK) == 0 { return folder + "/" + name }
    throw RoostError(
      .notFound, "'\(name)' is not in PATH, and guests are built with it", at: name,
      remedy: "install Swift 6.2 or later with its tool chain from swift.org and put it in PATH")
  }
}
