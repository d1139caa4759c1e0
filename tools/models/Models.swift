// `models`: makes model files for embedders out of what others publish.

import ArgumentParser
import Core

@main
struct Models: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models", abstract: "Converts published models to model files for embedders.",
    subcommands: [MiniLMCommand.self])
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
