// The sentence embedder all-MiniLM-L6-v2: a BERT encoder (Devlin et al., arXiv:1810.04805) of six layers whose
// outputs are averaged and brought to length 1 (Reimers and Gurevych, arXiv:1908.10084). 384 dimensions.
// The weights come from the linked model (`tools/run models minilm`).

struct MiniLM: Embedder {
  static let dimension = 384
  private static let heads = 12
  private static let headWidth = dimension / heads
  private static let inner = 1536
  private static let layerCount = 6
  private static let epsilon: Float = 1e-12
  /// Tokens of one text, its marks included; what follows is not read.
  private static let tokensMax = 256
  /// Tokens of the texts that go through the layers together.
  private static let rowsMax = 512

  private struct Norm {
    let gamma: UnsafePointer<Float>
    let beta: UnsafePointer<Float>

    func apply(_ x: Floats, rows: Int) {
      Tensor.layerNorm(
        x, rows: rows, width: MiniLM.dimension, gamma: gamma, beta: beta, epsilon: MiniLM.epsilon, into: x)
    }
  }

  private struct Layer {
    let attention: Linear
    let output: Linear
    let outputNorm: Norm
    let expand: Linear
    let contract: Linear
    let contractNorm: Norm
  }

  private struct Network {
    let words: ByteTable
    let positions: UnsafePointer<Float>
    let inputNorm: Norm
    let layers: [Layer]
  }

  private var tokenizer: WordPiece?
  private var network: Network?

  private let ids: UnsafeMutablePointer<UInt32>
  private let hidden: Floats
  private let projected: Floats
  private let context: Floats
  private let wide: Floats
  private let scores: Floats

  init() {
    ids = .allocate(capacity: Self.rowsMax)
    hidden = .allocate(capacity: Self.rowsMax * Self.dimension)
    projected = .allocate(capacity: Self.rowsMax * 3 * Self.dimension)
    context = .allocate(capacity: Self.rowsMax * Self.dimension)
    wide = .allocate(capacity: Self.rowsMax * Self.inner)
    scores = .allocate(capacity: Self.heads * Self.tokensMax * Self.tokensMax)
    guard let model = Model() else { return }
    tokenizer = WordPiece(model)
    network = Self.network(model)
  }

  mutating func embed(_ text: Bytes, into vector: Floats) throws(GuestError) {
    throw GuestError("texts are embedded together")
  }

  mutating func embed(_ texts: Texts, into vectors: Floats) throws(GuestError) {
    guard var tokenizer, let network else { throw GuestError("the module was built without its model") }
    var first = 0
    while first < texts.count {
      var ends: [Int] = []
      var rows = 0
      while first + ends.count < texts.count, rows + Self.tokensMax <= Self.rowsMax {
        rows += tokenizer.tokenize(texts[first + ends.count], into: ids + rows, limit: Self.tokensMax)
        ends.append(rows)
      }
      encode(network, ends: ends, rows: rows)
      var start = 0
      for (index, end) in ends.enumerated() {
        average(rows: start..<end, into: vectors + (first + index) * Self.dimension)
        start = end
      }
      first += ends.count
    }
    self.tokenizer = tokenizer
  }

  /// Runs the tokens in `ids` through the network; text `i` ends before row `ends[i]`.
  private func encode(_ network: Network, ends: [Int], rows: Int) {
    let width = Self.dimension
    network.words.lookUp(ids, count: rows, into: hidden)
    var start = 0
    for end in ends {
      Tensor.add(network.positions, to: hidden + start * width, count: (end - start) * width)
      start = end
    }
    network.inputNorm.apply(hidden, rows: rows)
    for layer in network.layers {
      layer.attention.apply(hidden, rows: rows, into: projected)
      start = 0
      for end in ends {
        attend(start..<end)
        start = end
      }
      layer.output.apply(context, rows: rows, into: projected)
      Tensor.add(projected, to: hidden, count: rows * width)
      layer.outputNorm.apply(hidden, rows: rows)
      layer.expand.apply(hidden, rows: rows, activation: .gelu, into: wide)
      layer.contract.apply(wide, rows: rows, into: projected)
      Tensor.add(projected, to: hidden, count: rows * width)
      layer.contractNorm.apply(hidden, rows: rows)
    }
  }

  /// Self-attention among the rows of one text.
  private func attend(_ rows: Range<Int>) {
    let (width, head, count) = (Self.dimension, Self.headWidth, rows.count)
    let start = projected + rows.lowerBound * 3 * width
    let weights = Matrices(scores, stride: count, step: count * count)
    Matrices.multiply(
      Matrices(start, stride: 3 * width, step: head), Matrices(start + width, stride: 3 * width, step: head),
      transposed: true, count: Self.heads, rows: count, inner: head, columns: count,
      scale: 1 / Float(head).squareRoot(), into: weights)
    Tensor.softmax(scores, rows: Self.heads * count, width: count)
    Matrices.multiply(
      weights, Matrices(start + 2 * width, stride: 3 * width, step: head), transposed: false,
      count: Self.heads,
      rows: count, inner: count, columns: head,
      into: Matrices(context + rows.lowerBound * width, stride: width, step: head))
  }

  private func average(rows: Range<Int>, into vector: Floats) {
    for row in rows {
      let from = hidden + row * Self.dimension
      for column in 0..<Self.dimension { vector[column] += from[column] }
    }
    var square: Float = 0
    for column in 0..<Self.dimension { square += vector[column] * vector[column] }
    let scale = square > 0 ? 1 / square.squareRoot() : 0
    for column in 0..<Self.dimension { vector[column] *= scale }
  }

  // MARK: the model

  private static func network(_ model: Model) -> Network? {
    guard let words = model.array("words"), let positions = model.array("positions"),
      words.columns == dimension,
      positions.rows >= tokensMax, positions.columns == dimension,
      let inputNorm = norm(model, "norm.gamma", "norm.beta", 0)
    else { return nil }
    var layers: [Layer] = []
    for index in 0..<layerCount {
      guard
        let attention = linear(model, "#.attention", "#.attention.bias", index),
        let output = linear(model, "#.output", "#.output.bias", index),
        let outputNorm = norm(model, "#.output.gamma", "#.output.beta", index),
        let expand = linear(model, "#.expand", "#.expand.bias", index),
        let contract = linear(model, "#.contract", "#.contract.bias", index),
        let contractNorm = norm(model, "#.contract.gamma", "#.contract.beta", index)
      else { return nil }
      layers.append(
        Layer(
          attention: attention, output: output, outputNorm: outputNorm, expand: expand, contract: contract,
          contractNorm: contractNorm))
    }
    return Network(
      words: ByteTable(rows: words.rows, width: words.columns, start: words.start),
      positions: positions.floats,
      inputNorm: inputNorm, layers: layers)
  }

  private static func linear(
    _ model: Model, _ name: StaticString, _ bias: StaticString, _ layer: Int
  ) -> Linear? {
    guard let packed = model.array(name, layer: layer), let bias = model.array(bias, layer: layer),
      let weights = Weights(rawValue: packed.kind)
    else { return nil }
    return Linear(
      weights: weights, inputs: packed.rows, outputs: packed.columns, packed: packed.start, bias: bias.floats)
  }

  private static func norm(_ model: Model, _ gamma: StaticString, _ beta: StaticString, _ layer: Int) -> Norm?
  {
    guard let gamma = model.array(gamma, layer: layer), let beta = model.array(beta, layer: layer) else {
      return nil
    }
    return Norm(gamma: gamma.floats, beta: beta.floats)
  }
}

typealias ModuleEmbedder = MiniLM
