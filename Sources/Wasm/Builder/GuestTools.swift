// The compilers that guests are built with. Those for Swift and C come with the Swift tool chain, and so does the
// linker; for Rust it is any rustc that has the standard library for wasm32-unknown-unknown.

import Core
import Glibc

struct GuestTools: Sendable {
  let swiftc: String
  let clang: String
  let linker: String

  init() throws(RoostError) {
    let hint = "install Swift 6.2 or later with its tool chain from swift.org and put it in PATH"
    swiftc = try GuestTools.find("swiftc", beside: nil, hint)
    // The tool chain's own clang and wasm-ld, of the same LLVM, before any other in PATH.
    let folder = GuestTools.realFolder(of: swiftc)
    clang = try GuestTools.find("clang", beside: folder, hint)
    linker = try GuestTools.find("wasm-ld", beside: folder, hint)
  }

  static let rustTarget = "wasm32-unknown-unknown"

  /// The first rustc in PATH, or Debian's, that can build guests. Throws `.notFound`.
  static func rustc(in folder: TemporaryFolder) throws(RoostError) -> String {
    let candidates = searchPath.map { $0 + "/rustc" } + ["/usr/bin/rustc"]
    for candidate in candidates where access(candidate, X_OK) == 0 {
      guard let sysroot = try? folder.output(of: candidate, ["--print", "sysroot"]) else { continue }
      let library = sysroot.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
      if access("\(library)/lib/rustlib/\(rustTarget)/lib", R_OK) == 0 { return candidate }
    }
    throw RoostError(
      .notFound, "no rustc in PATH has the target \(rustTarget), and guests in Rust are built with it",
      at: "rustc",
      remedy: "apt-get install rustc libstd-rust-dev-wasm32, or: rustup target add \(rustTarget)")
  }

  private static func realFolder(of path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    let text = String(cString: resolved)
    return text.lastIndex(of: "/").map { String(text[..<$0]) }
  }

  private static var searchPath: [String] {
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    return path.split(separator: ":").map(String.init)
  }

  private static func find(_ name: String, beside folder: String?, _ remedy: String) throws(RoostError)
    -> String
  {
    let folders = (folder.map { [$0] } ?? []) + searchPath
    for folder in folders where access(folder + "/" + name, X_OK) == 0 { return folder + "/" + name }
    throw RoostError(
      .notFound, "'\(name)' is not in PATH, and guests are built with it", at: name, remedy: remedy)
  }
}
