// module build, publish, list: user code in WebAssembly.

import ArgumentParser
import Core
import Foundation
import Wasm
import Wire

struct ModuleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "module", abstract: "Build, test and publish code in WebAssembly.",
    subcommands: [New.self, Build.self, Test.self, Publish.self, List.self])

  struct Build: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "build", abstract: "Compile a guest from Embedded Swift, C or Rust and check it.",
      discussion: """
        EXAMPLES
          roost module build tools/guests/size-below -o size-below.wasm
          roost module build filter.c
          roost module build tools/guests/time-decay
          roost module build tools/guests/minilm --model .cache/models/minilm-i8.model
        """)

    @Argument(help: "A .swift, .c or .rs file, or a folder of such.") var source: String
    @Option(name: .shortAndLong, help: "The module to write. [default: named after the source]")
    var output: String?
    @Option(help: "A file that becomes part of the module, such as the weights of an embedder.")
    var model: String?
    @Option(help: "The folder of the guest SDK. [default: the one in Roost's source]") var sdk: String?
    @OptionGroup var format: OutputOptions

    func run() async throws {
      let name = ModuleCommand.name(of: source)
      let target = output ?? name + ".wasm"
      let bytes = try ModuleBuilder(sdkPath: sdk).build(source, model: model)
      // A module that the node would refuse is refused here, before it is written.
      let module = try WasmEngine().compile(bytes, name: name)
      guard FileManager.default.createFile(atPath: target, contents: Data(bytes)) else {
        throw RoostError(.io, "cannot write the module", at: target)
      }
      try format.printDone(
        .object([
          "file": .string(target), "kind": .string("\(module.kind)"), "bytes": JSON(bytes.count),
          "dimension": module.dimension.map { JSON($0) },
        ]),
        "built \(target): \(module.kind), \(Figures.bytes(UInt64(bytes.count)))"
          + (module.dimension.map { ", dimension \($0)" } ?? ""))
    }
  }

  struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "publish", abstract: "Give a module to the node under a name, replacing what had it.",
      discussion: """
        EXAMPLES
          roost module publish size-below size-below.wasm
        """)

    @Argument(help: "The name to call it by.") var name: String
    @Argument(help: "The .wasm file.") var file: String
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      guard let bytes = FileManager.default.contents(atPath: file) else {
        throw RoostError(
          .notFound, "cannot read the module", at: file, remedy: "build it with `roost module build`")
      }
      guard bytes.count <= Limits.moduleBytesMax else {
        throw RoostError(
          .limitExceeded, "module of \(bytes.count) bytes, the limit is \(Limits.moduleBytesMax)", at: file)
      }
      let module = try await node.client().publishModule(name, bytes: [UInt8](bytes))
      try output.printDone(
        module.json, "published '\(module.name)': \(module.kind.name), \(module.sha256.prefix(12))")
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the published modules.",
      discussion: """
        EXAMPLES
          roost module list
        """)

    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let modules = try await node.client().listModules()
      try output.print(.object(["modules": .array(modules.map(\.json))])) {
        guard !modules.isEmpty else { return "no modules; publish one with `roost module publish`" }
        var table = Table(("name", .left), ("kind", .left), ("size", .right), ("sha256", .left))
        for module in modules {
          table.add(
            module.name, module.kind.name, Figures.bytes(module.byteCount), String(module.sha256.prefix(12)))
        }
        return table.text(width: Console.columns)
      }
    }
  }
}

extension ModuleDescription {
  fileprivate var json: JSON {
    .object([
      "name": .string(name), "kind": .string(kind.name), "bytes": JSON(byteCount), "sha256": .string(sha256),
      "exports": .array(exports.map { .string($0) }),
    ])
  }
}
