// module test: the conformance suite and the author's cases over a module.

import ArgumentParser
import Core
import Foundation
import Wasm

extension ModuleCommand {
  struct Test: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "test", abstract: "Check a module against the guest ABI and its own test cases.",
      discussion: """
        Builds the module when it is given its source. Cases are looked for in `test.json` of its folder, or in \
        `NAME.test.json` beside it (spec/wasm-abi.md, "Test cases"). Exit code 1 when something is wrong.

        EXAMPLES
          roost module test tools/guests/geofence
          roost module test filter.c
          roost module test geofence.wasm --cases tools/guests/geofence/test.json
        """)

    @Argument(help: "A .swift, .c, .rs or .wasm file, or a folder of sources.") var source: String
    @Option(help: "The file with the test cases.") var cases: String?
    @Option(help: "Seed of the payloads and texts that the general checks make up.") var seed: UInt64 = 1
    @Option(help: "A file that becomes part of the module, such as the weights of an embedder.")
    var model: String?
    @Option(help: "The folder of the guest SDK. [default: the one in Roost's source]") var sdk: String?
    @OptionGroup var format: OutputOptions

    func run() async throws {
      let name = ModuleCommand.name(of: source)
      let bytes =
        source.hasSuffix(".wasm")
        ? try InputFile.read(source, atMost: Limits.moduleBytesMax, what: "module")
        : try ModuleBuilder(sdkPath: sdk).build(source, model: model)
      let report = try ModuleConformance(cases: try readCases(), seed: seed).run(bytes, name: name)
      try format.print(
        .object([
          "module": .string(name), "kind": report.kind.map { .string($0.rawValue) },
          "checks": .array(
            report.checks.map {
              .object([
                "name": .string($0.name), "ok": .bool($0.problem == nil),
                "problem": $0.problem.map { .string($0) },
              ])
            }),
        ])
      ) {
        let lines = report.checks.map { check in
          check.problem.map { "✗ \(check.name)\n    \($0)" } ?? "✓ \(check.name)"
        }
        let summary =
          report.passed
          ? "\(name): all \(report.checks.count) checks passed"
          : "\(name): \(report.problems) of \(report.checks.count) checks failed"
        return (lines + [summary]).joined(separator: "\n")
      }
      if !report.passed { throw ExitCode(1) }
    }

    private func readCases() throws(RoostError) -> ModuleCases {
      let file: String
      if let cases {
        file = cases
      } else {
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: source, isDirectory: &isFolder)
        let url = URL(fileURLWithPath: source)
        let inFolder = (isFolder.boolValue ? url : url.deletingLastPathComponent())
          .appendingPathComponent("test.json").path
        let beside = url.deletingPathExtension().path + ".test.json"
        guard let found = [beside, inFolder].first(where: { FileManager.default.fileExists(atPath: $0) })
        else {
          return ModuleCases()
        }
        file = found
      }
      let bytes = try InputFile.read(file, atMost: 16 << 20, what: "file with test cases")
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw RoostError(.invalidArgument, "the test cases are not UTF-8", at: file)
      }
      return try ModuleCases(parsing: text, file: file)
    }
  }

  /// A module's name by its source: `geofence` for `geofence.c`, `geofence.wasm` and `geofence/`.
  static func name(of source: String) -> String {
    URL(fileURLWithPath: source).deletingPathExtension().lastPathComponent
  }
}
