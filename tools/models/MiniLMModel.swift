// The model file of the sentence embedder all-MiniLM-L6-v2 (tools/guests/minilm), from its safetensors and its
// vocabulary.

import Core
import Foundation

struct MiniLMModel {
  private static let width = 384
  private static let inner = 1536
  private static let layers = 6
  private static let positions = 512

  let source: Safetensors
  let vocabulary: Vocabulary

  /// - Parameter folder: holds `model.safetensors` and `vocab.txt`.
  init(folder: String) throws(RoostError) {
    source = try Safetensors(folder + "/model.safetensors")
    vocabulary = try Vocabulary(path: folder + "/vocab.txt")
  }

  func convert(weights: ModelFile.Kind) throws(RoostError) -> ModelFile {
    var file = ModelFile()
    try vocabulary.add(to: &file)
    let width = Self.width
    file.addByteTable(
      "words", rows: vocabulary.words.count, width: width,
      try source.tensor("embeddings.word_embeddings.weight", shape: [vocabulary.words.count, width]))
    var positions = try source.tensor(
      "embeddings.position_embeddings.weight", shape: [Self.positions, width])
    // Texts are single sentences, so the type of the first sentence is part of every position.
    let type = try source.tensor("embeddings.token_type_embeddings.weight", shape: [2, width])
    for index in positions.indices { positions[index] += type[index % width] }
    file.add("positions", .f32, rows: Self.positions, positions)
    try addVector("norm.gamma", "embeddings.LayerNorm.weight", width, to: &file)
    try addVector("norm.beta", "embeddings.LayerNorm.bias", width, to: &file)
    for layer in 0..<Self.layers { try addLayer(layer, weights, to: &file) }
    return file
  }

  private func addLayer(_ layer: Int, _ weights: ModelFile.Kind, to file: inout ModelFile) throws(RoostError)
  {
    let (width, inner, prefix) = (Self.width, Self.inner, "encoder.layer.\(layer).")
    var (matrix, bias): ([Float], [Float]) = ([], [])
    for part in ["query", "key", "value"] {
      matrix += try source.tensor(prefix + "attention.self.\(part).weight", shape: [width, width])
      bias += try source.tensor(prefix + "attention.self.\(part).bias", shape: [width])
    }
    file.addLinear("\(layer).attention", weights, inputs: width, outputs: 3 * width, matrix)
    file.add("\(layer).attention.bias", .f32, bias)
    for (name, part, inputs, outputs) in [
      ("output", "attention.output.dense", width, width), ("expand", "intermediate.dense", width, inner),
      ("contract", "output.dense", inner, width),
    ] {
      file.addLinear(
        "\(layer).\(name)", weights, inputs: inputs, outputs: outputs,
        try source.tensor(prefix + part + ".weight", shape: [outputs, inputs]))
      try addVector("\(layer).\(name).bias", prefix + part + ".bias", outputs, to: &file)
    }
    for (name, part) in [("output", "attention.output"), ("contract", "output")] {
      try addVector("\(layer).\(name).gamma", prefix + part + ".LayerNorm.weight", width, to: &file)
      try addVector("\(layer).\(name).beta", prefix + part + ".LayerNorm.bias", width, to: &file)
    }
  }

  private func addVector(
    _ name: String, _ tensor: String, _ count: Int, to file: inout ModelFile
  ) throws(RoostError) {
    file.add(name, .f32, try source.tensor(tensor, shape: [count]))
  }
}
