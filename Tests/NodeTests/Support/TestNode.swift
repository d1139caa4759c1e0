// A real node on real files and sockets.

import Core
import Glibc
import Logging
import Storage
import Wire

@testable import Node

/// A new folder under the system's temporary folder, removed by `remove`.
struct TemporaryFolder {
  let path: String

  init() {
    var template = Array("/tmp/node-test-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil, "no temporary folder")
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func remove() { TemporaryFolder.remove(path) }

  private static func remove(_ path: String) {
    if let stream = opendir(path) {
      while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
          field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { remove(path + "/" + name) }
      }
      closedir(stream)
      rmdir(path)
    } else {
      unlink(path)
    }
  }

  func write(_ name: String, _ text: String) {
    guard let file = fopen(path + "/" + name, "w") else { preconditionFailure("cannot write \(name)") }
    fputs(text, file)
    fclose(file)
  }
}

let quiet: Logger = {
  var logger = Logger(label: "test")
  logger.logLevel = .critical
  return logger
}()

/// A node in a temporary folder and a client of it.
struct TestNode {
  let folder: TemporaryFolder
  let runtime: Runtime
  let node: NodeServer
  let client: Client

  init(
    in folder: TemporaryFolder = TemporaryFolder(), _ adjust: (inout NodeConfiguration) -> Void = { _ in }
  ) async throws {
    self.folder = folder
    runtime = try Runtime.system()
    var configuration = NodeConfiguration(dataPath: folder.path + "/data")
    configuration.listen = SocketAddress(host: "127.0.0.1", port: 0)
    adjust(&configuration)
    node = try await NodeServer.start(configuration, runtime: runtime, logger: quiet)
    client = Client(node.address, runtime: runtime)
  }

  /// Ends node and client; the folder stays.
  func stop() async throws {
    await client.close()
    try await node.stop()
  }

  func stopAndRemove() async throws {
    try await stop()
    folder.remove()
  }
}

/// Starts a node that must refuse to, and returns why.
func refusal(_ configuration: NodeConfiguration) async throws -> RoostError? {
  do throws(RoostError) {
    let node = try await NodeServer.start(configuration, runtime: try Runtime.system(), logger: quiet)
    try await node.stop()
    return nil
  } catch {
    return error
  }
}

func configuration(_ path: String) -> NodeConfiguration {
  var configuration = NodeConfiguration(dataPath: path)
  configuration.listen = SocketAddress(host: "127.0.0.1", port: 0)
  return configuration
}

/// What a call fails with.
func failure(_ body: () async throws -> Void) async -> RoostError? {
  do {
    try await body()
    return nil
  } catch {
    return error as? RoostError
  }
}

func vector(_ values: Float...) -> Vector { Vector(values) }
