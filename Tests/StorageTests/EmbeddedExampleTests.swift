// The example of embedded use: the README shows the very file that is compiled, and it does what it says.

import Foundation
import Testing

@Suite struct EmbeddedExampleTests {
  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  @Test func readmeShowsTheExample() throws {
    let readme = try String(contentsOf: Self.root.appendingPathComponent("README.md"), encoding: .utf8)
    let example = try String(
      contentsOf: Self.root.appendingPathComponent("Examples/Embedded/main.swift"), encoding: .utf8)
    #expect(readme.contains("```swift\n" + example + "```\n"))
  }

  @Test func exampleRunsTwice() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("embedded-example-\(UUID())")
    defer { try? FileManager.default.removeItem(at: folder) }
    // The first run creates the collection, the second one opens it.
    for _ in 0..<2 {
      let process = Process()
      process.executableURL = Self.executable
      process.arguments = [folder.path]
      let output = Pipe()
      process.standardOutput = output
      try process.run()
      let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      let lines = text.split(separator: "\n")
      #expect(lines.count == 2)
      #expect(lines.first?.hasPrefix("apple ") == true)
      #expect(lines.last == "3 records")
    }
  }

  /// Built together with the tests, beside them.
  private static var executable: URL {
    let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("embedded-example")
  }
}
