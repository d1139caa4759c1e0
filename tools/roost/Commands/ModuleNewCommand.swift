// module new: a folder with a guest that builds and passes its tests at once, to be changed into what is wanted.

import ArgumentParser
import Core
import Foundation
import Wasm

extension ModuleCommand {
  struct New: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "new", abstract: "Begin a guest: a source that works, and test cases for it.",
      discussion: """
        EXAMPLES
          roost module new cheap
          roost module new --language rust --kind scorer fresh
          roost module new --language c --kind transform tidy
        """)

    @Argument(help: "The name; a folder of this name is made.") var name: String
    @Option(name: .shortAndLong, help: "The language: swift, c or rust.")
    var language = GuestLanguage.swift
    @Option(name: .shortAndLong, help: "What it is: filter, scorer, transform or embedder.")
    var kind = WasmModuleKind.filter
    @Option(help: "The folder of the guest SDK. [default: the one in Roost's source]") var sdk: String?
    @OptionGroup var format: OutputOptions

    func run() async throws {
      try validateName(URL(fileURLWithPath: name).lastPathComponent, what: "module")
      let files = FileManager.default
      guard !files.fileExists(atPath: name) else {
        throw RoostError(.alreadyExists, "there is something of this name already", at: name)
      }
      let templates = try ModuleBuilder(sdkPath: sdk).examplesPath + "/templates"
      let source =
        language == .rust ? "lib.rs" : URL(fileURLWithPath: name).lastPathComponent + language.suffix
      do {
        try files.createDirectory(atPath: name, withIntermediateDirectories: true)
        try files.copyItem(
          atPath: "\(templates)/\(kind.rawValue)\(language.suffix)", toPath: "\(name)/\(source)")
        try files.copyItem(atPath: "\(templates)/\(kind.rawValue).json", toPath: "\(name)/test.json")
      } catch {
        throw RoostError(.io, "cannot be made: \(error.localizedDescription)", at: name)
      }
      try format.printDone(
        .object([
          "folder": .string(name), "language": .string(language.rawValue), "kind": .string(kind.rawValue),
          "files": .array([.string(source), .string("test.json")]),
        ]),
        """
        made \(name)/\(source) and \(name)/test.json; next:
          roost module test \(name)
          roost module build \(name)
          roost module publish \(name) \(name).wasm
        """)
    }
  }
}

extension GuestLanguage: ExpressibleByArgument {}
extension WasmModuleKind: ExpressibleByArgument {}
