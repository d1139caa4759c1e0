// `models`: makes model files for embedders out of what others publish.

import ArgumentParser
import Core
import Foundation

@main
struct Models: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models", abstract: "Converts published models to model files for embedders.",
    subcommands: [MiniLMCommand.self, OnnxCommand.self])
}

/// The weights of linear layers.
enum Precision: String, ExpressibleByArgument, CaseIterable {
  case f32, bf16, i8

  var kind: ModelFile.Kind {
    switch self {
    case .f32: .packedF32
    case .bf16: .packedBF16
    case .i8: .packedI8
    }
  }
}

struct MiniLMCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "minilm", abstract: "all-MiniLM-L6-v2, for the embedder in tools/guests/minilm.",
    discussion: """
      Example:
        tools/models/fetch minilm                 (leaves the source in .cache/models/minilm)
        tools/run models minilm --source .cache/models/minilm --output .cache/models/minilm-i8.model
      """)

  @Option(help: "The folder with model.safetensors and vocab.txt.") var source: String
  @Option(help: "How weights are stored: f32, bf16 or i8.") var precision = Precision.i8
  @Option(help: "The model file to write.") var output: String

  func run() throws {
    try MiniLMModel(folder: source).convert(weights: precision.kind).write(to: output)
    print("wrote \(output)")
  }
}

struct OnnxCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "onnx",
    abstract: "An ONNX model of texts with its vocabulary, for the embedder in tools/guests/onnx.",
    discussion: """
      A model of images needs no conversion: give its ONNX file to `roost module build --model` as it is.

      Example:
        tools/run models onnx --source bert.onnx --vocabulary vocab.txt --output bert.model
        tools/run roost module build tools/guests/onnx --model bert.model -o bert.wasm
      """)

  @Option(help: "The ONNX file.") var source: String
  @Option(help: "The vocabulary of its WordPiece tokenizer, one piece a line.") var vocabulary: String
  @Option(help: "The model file to write.") var output: String

  func run() throws {
    guard let onnx = try? Data(contentsOf: URL(fileURLWithPath: source)) else {
      throw RoostError(.notFound, "the file cannot be read", at: source)
    }
    var file = ModelFile()
    file.add("onnx", .bytes, [UInt8](onnx))
    try Vocabulary(path: vocabulary).add(to: &file)
    try file.write(to: output)
    print("wrote \(output)")
  }
}
