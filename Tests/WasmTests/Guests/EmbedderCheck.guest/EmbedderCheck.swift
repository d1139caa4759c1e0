// A guest for the tests: the decoders of images and the operators of ONNX, with nothing around them.

struct EmbedderCheck: BytesEmbedder {
  private static let side = 32
  static let dimension = side * side * 3

  init() {}

  /// The first byte says what follows. "i": an image, whose levels at 32 × 32 pixels are the result. "o": the length
  /// of an ONNX file (u32), the file, and a .npy file with its length before it for each input; the result is its
  /// output, behind the number of its elements.
  mutating func embed(_ bytes: Bytes, into vector: Floats) throws(GuestError) {
    guard bytes.count > 0 else { throw GuestError("there is no input") }
    let content = bytes.part(1, bytes.count - 1)
    if bytes[0] == 0x69 {
      let picture = try Picture.decode(content)
      let (width, height) = picture.uprightSize
      return picture.resize(.whole(width, height), outWidth: Self.side, outHeight: Self.side, into: vector)
    }
    var parts: [Bytes] = []
    var at = 0
    while at + 4 <= content.count {
      let count = Int(clamping: content.start.loadUnaligned(fromByteOffset: at, as: UInt32.self))
      guard count <= content.count - at - 4 else { throw GuestError("the input is cut short") }
      parts.append(content.part(at + 4, count))
      at += 4 + count
    }
    guard !parts.isEmpty else { throw GuestError("there is no model") }
    let model = try OnnxModel(parts[0])
    var tensors: [Constant] = []
    for part in parts[1...] {
      guard NumPyFile.isOne(part) else { throw GuestError("an input is not a .npy file") }
      tensors.append(try NumPyFile(part).constant)
    }
    let plan = try model.plan(tensors.map { OnnxTensor(shape: $0.shape, isFloat: $0.isFloat) })
    for (input, tensor) in zip(model.graph.inputs, tensors) {
      if tensor.isFloat {
        tensor.copyFloats(to: plan.addresses.floats(input.value))
      } else {
        plan.addresses.ints(input.value).update(from: tensor.int32s, count: tensor.count)
      }
    }
    try plan.run()
    let value = plan.values[plan.output]
    guard value.count < Self.dimension else { throw GuestError("the result is too long") }
    vector[0] = Float(value.count)
    for index in 0..<value.count {
      vector[index + 1] =
        value.isFloat
        ? plan.addresses.floats(plan.output)[index] : Float(plan.addresses.ints(plan.output)[index])
    }
  }
}

typealias ModuleBytesEmbedder = EmbedderCheck
