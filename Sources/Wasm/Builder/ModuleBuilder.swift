// From guest source to module: finds the compilers of the Swift tool chain and runs them over the user's
// sources together with the guest SDK (`tools/guests/sdk`). Behind `roost module build`.

import Core
import Glibc

/// Builds modules from Embedded Swift or C. Works in a temporary folder of its own and removes it.
public struct ModuleBuilder: Sendable {
  private let sdk: String
  private let tools: GuestTools

  /// `sdkPath` is the folder with `roost.h`; when nil, `ROOST_SDK` or `tools/guests/sdk` above the running
  /// executable or the current folder. Throws `.notFound` when the SDK or a compiler is missing.
  public init(sdkPath: String? = nil) throws(RoostError) {
    sdk = try ModuleBuilder.findSDK(sdkPath)
    tools = try GuestTools()
  }

  /// The folder beside the SDK that holds the example guests.
  public var examplesPath: String { String(sdk[..<(sdk.lastIndex(of: "/") ?? sdk.endIndex)]) }

  /// The bytes of the module built from a `.swift` or `.c` file, or from all such files of a folder.
  ///
  /// `model` is a file that becomes part of the module's memory; the guest finds it with `Model()` or
  /// `roost_model_start`.
  ///
  /// Throws `.invalidArgument` with the compiler's words when the source does not compile, `.notFound` when
  /// there is none.
  public func build(_ path: String, model: String? = nil) throws(RoostError) -> [UInt8] {
    let sources = try ModuleBuilder.sources(path)
    let folder = try TemporaryFolder()
    defer { folder.remove() }

    var objects = [folder.path + "/runtime.o", folder.path + "/model.o"]
    try compileC([sdk + "/runtime.c"], into: folder, as: [objects[0]])
    try compileC([sdk + "/model.c"], into: folder, as: [objects[1]], try modelFlags(model))
    if sources[0].hasSuffix(".swift") {
      objects.append(folder.path + "/guest.o")
      try compileSwift(sources, into: folder, as: folder.path + "/guest.o")
    } else {
      let names = sources.indices.map { folder.path + "/guest\($0).o" }
      try compileC(sources, into: folder, as: names)
      objects += names
    }
    let module = folder.path + "/module.wasm"
    try folder.run(
      tools.linker,
      ["--no-entry", "--gc-sections", "--strip-all", "-z", "stack-size=131072", "-o", module] + objects,
      failing: "\(path) does not link")
    return try folder.read(module)
  }

  /// Builds and writes the module to `output`.
  public func build(_ path: String, model: String? = nil, to output: String) throws(RoostError) {
    let bytes = try build(path, model: model)
    guard let file = fopen(output, "wb") else { throw RoostError.system("cannot be written", output) }
    let written = bytes.withUnsafeBufferPointer { fwrite($0.baseAddress, 1, $0.count, file) }
    let closed = fclose(file)
    guard written == bytes.count, closed == 0 else { throw RoostError.system("cannot be written", output) }
  }

  /// The module with a section that says which model it carries (`spec/modules.md`).
  /// - Parameter modelDigest: the SHA-256 of the model file, 32 bytes.
  public static func noting(modelDigest: [UInt8], in module: [UInt8]) -> [UInt8] {
    precondition(modelDigest.count == 32)
    var section = ByteWriter()
    section.string(ModuleBinary.modelSection)
    section.raw(modelDigest)
    var writer = ByteWriter()
    writer.raw(module)
    writer.u8(0)
    writer.blob(section.bytes)
    return writer.bytes
  }

  // Bulk memory and SIMD are part of what every guest may use (spec/wasm-abi.md, "Features").
  private func compileC(
    _ sources: [String], into folder: TemporaryFolder, as objects: [String], _ flags: [String] = []
  ) throws(RoostError) {
    for (source, object) in zip(sources, objects) {
      try folder.run(
        tools.clang,
        [
          "--target=wasm32", "-std=c23", "-O2", "-msimd128", "-mbulk-memory", "-ffreestanding", "-Wall", "-I",
          sdk,
          "-c", source, "-o", object,
        ] + flags, failing: "\(source) does not compile")
    }
  }

  private func modelFlags(_ model: String?) throws(RoostError) -> [String] {
    guard let model else { return [] }
    guard let resolved = realpath(model, nil) else { throw RoostError.system("cannot be read", model) }
    defer { free(resolved) }
    let path = String(cString: resolved)
    guard !path.contains(where: { "\"\\\n".contains($0) }) else {
      throw RoostError(.invalidArgument, "the path of a model cannot have quotes", at: path)
    }
    return ["-DROOST_MODEL=\"\(path)\""]
  }

  private func compileSwift(
    _ sources: [String], into folder: TemporaryFolder, as object: String
  ) throws(RoostError) {
    var texts: [String] = []
    for source in sources { texts.append(String(decoding: try folder.read(source), as: UTF8.self)) }
    func declares(_ alias: String) -> Bool { texts.contains { $0.contains("typealias \(alias) ") } }
    let kinds = ["Filter", "Embedder", "BytesEmbedder"].filter { declares("Module" + $0) }
    guard kinds.count == 1 else {
      throw RoostError(
        .invalidArgument, "the source does not say which one thing the module is", at: sources[0],
        remedy:
          "declare one of `typealias ModuleFilter = YourType`, `typealias ModuleEmbedder = YourType` and "
          + "`typealias ModuleBytesEmbedder = YourType`")
    }
    let exports = kinds[0] + "Exports.swift"
    try folder.run(
      tools.swiftc,
      [
        "-target", "wasm32-unknown-none-wasm", "-enable-experimental-feature", "Embedded",
        "-enable-experimental-feature", "Extern", "-wmo", "-O", "-parse-as-library", "-module-name", "guest",
        "-Xfrontend", "-disable-stack-protector", "-Xcc", "-msimd128", "-Xcc", "-mbulk-memory",
        "-module-cache-path", folder.path + "/cache", "-c", "-o", object,
      ]
        + [
          "Bytes.swift", "Convolution.swift", "Fields.swift", "Guest.swift", "Model.swift", "Tensor.swift",
          "TensorFallback.swift",
          exports,
        ].map { sdk + "/" + $0 } + sources,
      failing: "\(sources[0]) does not compile")
  }

  // MARK: Finding things

  private static func sources(_ path: String) throws(RoostError) -> [String] {
    guard access(path, R_OK) == 0 else { throw RoostError.system("cannot be read", path) }
    if path.hasSuffix(".swift") || path.hasSuffix(".c") { return [path] }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw RoostError(.invalidArgument, "not a .swift or .c file, nor a folder", at: path)
    }
    let names = TemporaryFolder.names(in: path)
      .filter { $0.hasSuffix(".swift") || $0.hasSuffix(".c") }.map { path + "/" + $0 }
    let swift = names.filter { $0.hasSuffix(".swift") }
    guard !names.isEmpty else { throw RoostError(.notFound, "no .swift or .c file in the folder", at: path) }
    guard swift.isEmpty || swift.count == names.count else {
      throw RoostError(.invalidArgument, "a module is either Swift or C, the folder has both", at: path)
    }
    return names
  }

  private static func findSDK(_ given: String?) throws(RoostError) -> String {
    if let path = given ?? getenv("ROOST_SDK").map({ String(cString: $0) }) {
      guard access(path + "/roost.h", R_OK) == 0 else {
        throw RoostError(.notFound, "this folder has no roost.h", at: path)
      }
      return path
    }
    for start in ["/proc/self/exe", "."] {
      guard let resolved = realpath(start, nil) else { continue }
      var folder = String(cString: resolved)
      free(resolved)
      while !folder.isEmpty {
        let candidate = folder + "/tools/guests/sdk"
        if access(candidate + "/roost.h", R_OK) == 0 { return candidate }
        folder = String(folder[..<(folder.lastIndex(of: "/") ?? folder.startIndex)])
      }
    }
    throw RoostError(
      .notFound, "the guest SDK was not found above the executable or the current folder",
      at: "tools/guests/sdk",
      remedy: "set ROOST_SDK to the folder with roost.h, from Roost's source")
  }
}
