// key generate, show: the Ed25519 keys that sign modules.

import ArgumentParser
import Core
import Foundation
import Node
import Storage

struct KeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Make and show the keys that sign modules.",
    subcommands: [Generate.self, Show.self])

  struct Generate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "generate", abstract: "Make a key pair.",
      discussion: """
        Writes the private key, which only you may read, to FILE, and the public key to FILE.pub. Nodes are given
        the public key (`roost serve --trusted-keys`); the private one signs modules (`roost module sign`).

        EXAMPLES
          roost key generate release.key
        """)

    @Argument(help: "The file for the private key; it must not exist yet.", completion: .file()) var file:
      String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let key = try SigningKey(random: SystemRandom())
      try KeyFile.write(key.pem, to: file, mode: 0o600)
      try KeyFile.write("\(key.publicKey)\n", to: file + ".pub", mode: 0o644)
      try output.printDone(
        .object([
          "file": .string(file), "public_file": .string(file + ".pub"),
          "public_key": .string("\(key.publicKey)"),
        ]), "\(key.publicKey)\nthe private key is in \(file), the public key in \(file).pub")
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Print the public key of a key file.",
      discussion: """
        EXAMPLES
          roost key show release.key
        """)

    @Argument(help: "A private key file.", completion: .file()) var file: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let key = try KeyFile.read(file).publicKey
      try output.printDone(
        .object(["file": .string(file), "public_key": .string("\(key)")]), "\(key)")
    }
  }
}

/// Key files, which others must not be able to read.
enum KeyFile {
  /// Throws `.alreadyExists` rather than replace a file: a lost key cannot be made again.
  static func write(_ text: String, to path: String, mode: mode_t) throws(RoostError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard descriptor >= 0 else {
      throw RoostError(
        errno == EEXIST ? .alreadyExists : .io, "cannot make the file: \(String(cString: strerror(errno)))",
        at: path, remedy: "choose another name")
    }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
      throw RoostError(.io, "cannot write the file: \(String(cString: strerror(errno)))", at: path)
    }
  }

  static func read(_ path: String) throws(RoostError) -> SigningKey {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw RoostError(
        .notFound, "cannot read the key", at: path, remedy: "make one with `roost key generate`")
    }
    return try SigningKey(pem: String(decoding: data, as: UTF8.self), at: path)
  }
}
