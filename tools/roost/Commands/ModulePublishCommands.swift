// module sign, publish, list, inspect: a module on its way to the node, and what the node has.

import ArgumentParser
import Core
import Foundation
import Node
import Wasm
import Wire

/// A .wasm file as commands read it.
private func moduleBytes(_ path: String) throws(RoostError) -> [UInt8] {
  guard let data = FileManager.default.contents(atPath: path) else {
    throw RoostError(
      .notFound, "cannot read the module", at: path, remedy: "build it with `roost module build`")
  }
  guard data.count <= Limits.moduleBytesMax else {
    throw RoostError(
      .limitExceeded, "module of \(data.count) bytes, the limit is \(Limits.moduleBytesMax)", at: path)
  }
  return [UInt8](data)
}

/// What a signature of this file under this name says.
private func statement(_ bytes: [UInt8], name: String) throws(RoostError) -> ModuleStatement {
  let summary = try WasmEngine.inspect(bytes, name: name)
  return ModuleStatement(
    name: name, kind: ModuleKind(summary.kind), module: Digest(of: bytes), model: summary.model)
}

extension ModuleCommand {
  struct Sign: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "sign", abstract: "Sign a module for the name that it will have.",
      discussion: """
        The signature goes to FILE.sig, where `roost module publish` finds it. It holds for these bytes under
        this name alone.

        EXAMPLES
          roost module sign size-below size-below.wasm --key release.key
        """)

    @Argument(help: "The name that the module will be published by.") var name: String
    @Argument(help: "The .wasm file.", completion: .file()) var file: String
    @Option(name: .shortAndLong, help: "A private key of `roost key generate`.", completion: .file())
    var key: String
    @Option(name: .shortAndLong, help: "The signature to write. [default: FILE.sig]") var output: String?
    @OptionGroup var format: OutputOptions

    func run() async throws {
      let key = try KeyFile.read(key)
      let statement = try statement(try moduleBytes(file), name: name)
      let target = output ?? file + SignatureFile.suffix
      let text = SignatureFile.text(try statement.signed(by: key), name: name)
      guard FileManager.default.createFile(atPath: target, contents: Data(text.utf8)) else {
        throw RoostError(.io, "cannot write the signature", at: target)
      }
      try format.printDone(
        .object([
          "file": .string(target), "name": .string(name), "kind": .string(statement.kind.name),
          "sha256": .string(statement.module.text), "model_sha256": statement.model.map { .string($0.text) },
          "signer": .string("\(key.publicKey)"),
        ]), "signed '\(name)' (\(statement.kind.name), \(statement.module.text.prefix(12))): \(target)")
    }
  }

  struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "publish", abstract: "Give a module to the node as the next version of a name.",
      discussion: """
        The version serves at once, unless another is pinned, or --staged or --canary says otherwise. A file FILE.sig
        beside the module is sent along; --key signs it on the way.

        EXAMPLES
          roost module publish size-below size-below.wasm
          roost module publish size-below size-below.wasm --key release.key
          roost module publish size-below size-below.wasm --canary 5
        """)

    @Argument(help: "The name to call it by.") var name: String
    @Argument(help: "The .wasm file.", completion: .file()) var file: String
    @Option(help: "Sign it with this private key.", completion: .file()) var key: String?
    @Option(help: "Send this signature. [default: FILE.sig, if there is one]", completion: .file())
    var signature: String?
    @Flag(help: "Only queries that name the version get it.") var staged = false
    @Option(help: "Give it to so many percent of the requests that name no version.") var canary: Int?
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard !staged || canary == nil else {
        throw ValidationError("--staged and --canary exclude each other")
      }
      guard key == nil || signature == nil else {
        throw ValidationError("--key and --signature exclude each other")
      }
      if let canary { _ = try Percent.checked(canary, "--canary") }
    }

    func run() async throws {
      let bytes = try moduleBytes(file)
      let placement: ModulePlacement =
        if let canary { .canary(percent: try Percent.checked(canary, "--canary")) } else {
          staged ? .staged : .current
        }
      let module = try await node.client().publishModule(
        name, bytes: bytes, signature: try signature(of: bytes), placement: placement)
      let signer = module.signer.map { ", signed by \($0.prefix(20))…" } ?? ""
      try output.printDone(
        module.json,
        "published '\(module.name)', version \(module.version): \(module.kind.name), "
          + "\(module.sha256.prefix(12))\(signer)")
    }

    private func signature(of bytes: [UInt8]) throws(RoostError) -> ModuleSignature? {
      if let key { return try statement(bytes, name: name).signed(by: try KeyFile.read(key)) }
      let path = signature ?? file + SignatureFile.suffix
      guard let data = FileManager.default.contents(atPath: path) else {
        guard signature == nil else {
          throw RoostError(.notFound, "cannot read the signature", at: path)
        }
        return nil
      }
      let (signed, found) = try SignatureFile.parse(String(decoding: data, as: UTF8.self), at: path)
      guard signed == name else {
        throw RoostError(
          .invalidArgument, "the signature is for the name '\(signed.prefix(80))', not '\(name)'", at: path,
          remedy: "sign the module for this name with `roost module sign`")
      }
      return found
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
        var table = Table(
          ("name", .left), ("kind", .left), ("version", .right), ("size", .right), ("canary", .left),
          ("of", .right), ("sha256", .left))
        for module in modules {
          let current = module.versions.first { $0.version == module.current }
          table.add(
            module.name, (current ?? module.versions.first)?.kind.name ?? "",
            (module.current.map { "\($0)" } ?? "–") + (module.isPinned ? " pinned" : ""),
            current.map { Figures.bytes($0.byteCount) } ?? "–",
            module.canary.map { "\($0.version): \($0.percent)%" } ?? "–", "\(module.versions.count)",
            current.map { $0.failure == nil ? String($0.sha256.prefix(12)) : "cannot be used" } ?? "–")
        }
        return table.text(width: Console.columns)
      }
    }
  }

  struct Inspect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "inspect", abstract: "Show the versions of a module, what it may do, and how it does.",
      discussion: """
        EXAMPLES
          roost module inspect size-below
        """)

    @Argument(help: "The module.") var name: String
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let module = try await node.client().inspectModule(name)
      try output.print(module.json) { ModuleText.report(module) }
    }
  }
}

/// A share of the requests or of the time.
enum Percent {
  static func checked(_ value: Int, _ option: String) throws(RoostError) -> UInt8 {
    guard (1...100).contains(value) else {
      throw RoostError(.invalidArgument, "\(value) is not in 1...100", at: option)
    }
    return UInt8(value)
  }
}

extension WasmModuleSummary {
  fileprivate var model: Digest? { modelDigest.flatMap { Digest(bytes: $0) } }
}
