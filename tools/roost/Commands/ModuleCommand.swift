// module build: user code in WebAssembly, from source. The other subcommands are in Module*Commands.swift.

import ArgumentParser
import Core
import Foundation
import Node
import Wasm

struct ModuleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "module", abstract: "Build and publish filters and embedders in WebAssembly.",
    subcommands: [
      Build.self, Sign.self, Publish.self, List.self, Inspect.self, Pin.self, Unpin.self, Rollback.self,
      Canary.self, Promote.self, Delete.self, Grant.self, Quota.self, State.self,
    ])

  struct Build: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "build", abstract: "Compile a guest from Embedded Swift or C and check it.",
      discussion: """
        EXAMPLES
          roost module build tools/guests/size-below -o size-below.wasm
          roost module build filter.c
          roost module build tools/guests/minilm --model .cache/models/minilm-i8.model
        """)

    @Argument(help: "A .swift or .c file, or a folder of either.") var source: String
    @Option(name: .shortAndLong, help: "The module to write. [default: named after the source]")
    var output: String?
    @Option(help: "A file that becomes part of the module, such as the weights of an embedder.")
    var model: String?
    @Option(help: "The folder of the guest SDK. [default: the one in Roost's source]") var sdk: String?
    @OptionGroup var format: OutputOptions

    func run() async throws {
      let name = URL(fileURLWithPath: source).deletingPathExtension().lastPathComponent
      let target = output ?? name + ".wasm"
      var bytes = try ModuleBuilder(sdkPath: sdk).build(source, model: model)
      if let model, let content = FileManager.default.contents(atPath: model) {
        bytes = ModuleBuilder.noting(modelDigest: Digest(of: [UInt8](content)).bytes, in: bytes)
      }
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
}
