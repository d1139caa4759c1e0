// An embedder of images that needs no model: the picture at 16 × 16 pixels, as differences from its own mean, of
// length 1. Pictures that differ in size, format or quality only come out nearly the same: it finds duplicates.

struct Thumbnail: BytesEmbedder {
  private static let side = 16
  static let dimension = side * side * 3

  init() {}

  mutating func embed(_ bytes: Bytes, into vector: Floats) throws(GuestError) {
    let picture = try Picture.decode(bytes)
    let (width, height) = picture.uprightSize
    picture.resize(.whole(width, height), outWidth: Self.side, outHeight: Self.side, into: vector)
    for channel in 0..<3 {
      var mean: Float = 0
      for index in stride(from: channel, to: Self.dimension, by: 3) { mean += vector[index] }
      mean /= Float(Self.side * Self.side)
      for index in stride(from: channel, to: Self.dimension, by: 3) { vector[index] -= mean }
    }
    var square: Float = 0
    for index in 0..<Self.dimension { square += vector[index] * vector[index] }
    // A picture of one colour has no differences; it is like others of the kind.
    guard square > 1e-3 else {
      return vector.update(repeating: 1 / Float(Self.dimension).squareRoot(), count: Self.dimension)
    }
    let scale = 1 / square.squareRoot()
    for index in 0..<Self.dimension { vector[index] *= scale }
  }
}

typealias ModuleBytesEmbedder = Thumbnail
