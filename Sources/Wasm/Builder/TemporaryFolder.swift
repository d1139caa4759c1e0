// A folder for the intermediate files of one build, and the compilers that run in it.

import Core
import Glibc

struct TemporaryFolder {
  let path: String

  init() throws(RoostError) {
    let root = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(root)/roost-build-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw RoostError.system("cannot be made", root) }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  func remove() { TemporaryFolder.remove(path) }

  private static func remove(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    // `remove` below unlinks symbolic links and never follows them.
    if status.st_mode & S_IFMT == S_IFDIR {
      for name in names(in: path) { remove(path + "/" + name) }
    }
    _ = Glibc.remove(path)
  }

  /// Names in a folder without "." and "..", sorted; empty when it cannot be read.
  static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
        String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Runs a program; when it fails, throws `.invalidArgument` with the first part of what it printed.
  func run(_ program: String, _ arguments: [String], failing message: String) throws(RoostError) {
    let output = path + "/output.txt"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)

    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child = pid_t()
    let started = posix_spawn(&child, program, &actions, nil, &words, environ)
    guard started == 0 else {
      throw RoostError(.io, "cannot be run: \(String(cString: strerror(started)))", at: program)
    }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    guard status == 0 else {
      let text = (try? read(output)).map { String(decoding: $0.prefix(4_000), as: UTF8.self) } ?? ""
      throw RoostError(.invalidArgument, "\(message):\n\(text)")
    }
  }

  /// What a program prints. Throws as `run` does.
  func output(of program: String, _ arguments: [String]) throws(RoostError) -> String {
    try run(program, arguments, failing: "\(program) failed")
    return String(decoding: try read(path + "/output.txt"), as: UTF8.self)
  }

  func read(_ file: String) throws(RoostError) -> [UInt8] {
    guard let stream = fopen(file, "rb") else { throw RoostError.system("cannot be read", file) }
    defer { fclose(stream) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = fread(&chunk, 1, chunk.count, stream)
      if count == 0 { break }
      bytes += chunk[..<count]
      guard bytes.count <= Limits.moduleBytesMax else {
        throw RoostError(.limitExceeded, "more than \(Limits.moduleBytesMax) bytes", at: file)
      }
    }
    guard ferror(stream) == 0 else { throw RoostError.system("cannot be read", file) }
    return bytes
  }
}

extension RoostError {
  /// The current `errno` about a file.
  static func system(_ what: String, _ path: String) -> RoostError {
    let code = errno
    return RoostError(
      code == ENOENT ? .notFound : .io, "\(what): \(String(cString: strerror(code)))", at: path)
  }
}
