// Runs the built executable as a user would.

import Core
import Foundation
import Testing

/// One finished run of `roost`.
struct RoostRun {
  let code: Int32
  let out: String
  let error: String

  /// Standard output as JSON; records an issue when it is none.
  func json(_ location: SourceLocation = #_sourceLocation) throws -> JSON {
    #expect(code == 0, "exit code \(code): \(error)", sourceLocation: location)
    return try JSON(parsing: out)
  }
}

enum RoostProcess {
  /// The executable that was built together with the tests.
  static let path: String = {
    let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("roost").path
  }()

  static func make(_ arguments: [String], folder: String) throws -> (Process, out: Pipe, error: Pipe) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    let (out, error) = (Pipe(), Pipe())
    process.standardOutput = out
    process.standardError = error
    return (process, out, error)
  }

  static func run(_ arguments: [String], input: String = "", folder: String = "/") async throws -> RoostRun {
    let (process, out, error) = try make(arguments, folder: folder)
    let stdin = Pipe()
    process.standardInput = stdin
    try process.run()
    async let output = read(out)
    async let errors = read(error)
    stdin.fileHandleForWriting.write(Data(input.utf8))
    try stdin.fileHandleForWriting.close()
    let (outText, errorText) = (await output, await errors)
    await exit(of: process)
    return RoostRun(code: process.terminationStatus, out: outText, error: errorText)
  }

  private static func read(_ pipe: Pipe) async -> String {
    await withCheckedContinuation { continuation in
      Thread {
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        continuation.resume(returning: String(decoding: data, as: UTF8.self))
      }.start()
    }
  }

  /// Waits on a thread of its own; tests share few.
  static func exit(of process: Process) async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      Thread {
        process.waitUntilExit()
        continuation.resume()
      }.start()
    }
  }
}

/// A running `roost serve` on a free port, in a folder of its own.
final class ServeProcess {
  let folder: String
  private(set) var address = ""
  private var process: Process?

  init() throws {
    folder = NSTemporaryDirectory() + "roost-cli-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit {
    if let process {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Starts the node; returns what it printed when it was ready.
  @discardableResult
  func start(_ more: [String] = []) async throws -> JSON {
    let arguments = ["serve", "--data", "data", "--listen", "127.0.0.1:0", "--json", "--log-level", "error"]
    let (process, out, _) = try RoostProcess.make(arguments + more, folder: folder)
    process.standardError = FileHandle.standardError
    try process.run()
    self.process = process
    let line = await withCheckedContinuation { continuation in
      Thread { continuation.resume(returning: out.fileHandleForReading.availableData) }.start()
    }
    let ready = try JSON(parsing: [UInt8](line))
    guard case .string(let text)? = ready["listening"] else {
      throw RoostError(.internalFailure, "the node did not say where it listens", at: ready.text)
    }
    address = text
    return ready
  }

  func stop(_ signal: Int32) async throws -> Int32 {
    let process = try #require(self.process)
    kill(process.processIdentifier, signal)
    await RoostProcess.exit(of: process)
    self.process = nil
    return process.terminationStatus
  }

  /// Runs a client command against this node, in its folder.
  func roost(_ arguments: String..., input: String = "") async throws -> RoostRun {
    try await RoostProcess.run(arguments + ["--address", address], input: input, folder: folder)
  }

  /// The same with `--json`, read.
  func json(_ arguments: String..., input: String = "") async throws -> JSON {
    try await RoostProcess.run(arguments + ["--address", address, "--json"], input: input, folder: folder)
      .json()
  }

  func write(_ name: String, _ text: String) throws {
    try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
  }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: folder + "/" + name))
  }

  func read(_ name: String) throws -> String {
    try String(contentsOfFile: folder + "/" + name, encoding: .utf8)
  }
}
