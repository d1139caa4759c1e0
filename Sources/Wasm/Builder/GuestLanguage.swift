// The languages that the guest SDK speaks, and how a guest's sources are told apart.

import Core
import Glibc

public enum GuestLanguage: String, Sendable, CaseIterable {
  case swift, c, rust

  /// What its files are called.
  public var suffix: String {
    switch self {
    case .swift: ".swift"
    case .c: ".c"
    case .rust: ".rs"
    }
  }

  /// The sources of a guest: a file, or all files of a folder (for Rust, the one that the others are modules of).
  /// Throws `.notFound`, or `.invalidArgument` for what is no source and for languages mixed.
  static func sources(_ path: String) throws(RoostError) -> (language: GuestLanguage, files: [String]) {
    guard access(path, R_OK) == 0 else { throw RoostError.system("cannot be read", path) }
    if let language = allCases.first(where: { path.hasSuffix($0.suffix) }) { return (language, [path]) }
    let suffixes = "a .swift, .c or .rs file"
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw RoostError(.invalidArgument, "not \(suffixes), nor a folder", at: path)
    }
    for root in ["/src/lib.rs", "/lib.rs"] where access(path + root, R_OK) == 0 {
      return (.rust, [path + root])
    }
    let names = TemporaryFolder.names(in: path)
    let found = allCases.map { language in
      (language: language, files: names.filter { $0.hasSuffix(language.suffix) }.map { path + "/" + $0 })
    }.filter { !$0.files.isEmpty }
    guard let first = found.first else {
      throw RoostError(.notFound, "no .swift, .c or .rs file in the folder", at: path)
    }
    guard found.count == 1 else {
      throw RoostError(.invalidArgument, "a module is of one language, the folder has several", at: path)
    }
    guard first.language != .rust || first.files.count == 1 else {
      throw RoostError(
        .invalidArgument, "several .rs files and none of them is lib.rs", at: path,
        remedy: "call the one that declares the others lib.rs")
    }
    return first
  }
}
