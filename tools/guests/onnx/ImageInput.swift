// From an image file to the numbers that a model of images takes: resized, cut to the centre, and brought to the
// mean and deviation of what it was trained on.

struct ImageInput {
  /// In levels of 0 to 1, by channel. Those of ImageNet unless the model says otherwise.
  private var mean: [Float] = [0.485, 0.456, 0.406]
  private var deviation: [Float] = [0.229, 0.224, 0.225]
  /// What the shorter side becomes before the centre is cut out.
  private var shorter: Int?

  init(_ file: OnnxFile) throws(GuestError) {
    if let text = file.value(of: "roost.mean") { mean = try Self.numbers(text, 3) }
    if let text = file.value(of: "roost.deviation") { deviation = try Self.numbers(text, 3) }
    if let text = file.value(of: "roost.resize") { shorter = integer(try Self.numbers(text, 1)[0]) }
    guard deviation.allSatisfy({ $0 > 0 }), shorter.map({ (1...4096).contains($0) }) ?? true else {
      throw GuestError("roost.deviation or roost.resize is out of range")
    }
  }

  /// Writes [height × width × 3] numbers.
  func fill(_ target: Floats, _ image: Bytes, width: Int, height: Int) throws(GuestError) {
    let picture = try Picture.decode(image)
    let (fullWidth, fullHeight) = picture.uprightSize
    // As is usual: 256 for an input of 224.
    let shorter = max(shorter ?? (min(width, height) * 8 + 3) / 7, max(width, height))
    let crop = Crop.centre(fullWidth, fullHeight, shorter: shorter, outWidth: width, outHeight: height)
    picture.resize(crop, outWidth: width, outHeight: height, into: target)
    for channel in 0..<3 {
      let factor = 1 / (255 * deviation[channel])
      let offset = -mean[channel] / deviation[channel]
      for pixel in 0..<width * height {
        target[pixel * 3 + channel] = target[pixel * 3 + channel] * factor + offset
      }
    }
  }

  /// Decimal numbers between commas.
  private static func numbers(_ text: Bytes, _ count: Int) throws(GuestError) -> [Float] {
    var (numbers, value, scale, sign): ([Float], Float, Float, Float) = ([], 0, 0, 1)
    func damaged() -> GuestError {
      GuestError("'", text, "' in the model's metadata is not what is asked for")
    }
    for index in 0...text.count {
      let byte = index == text.count ? 0x2c : text[index]
      switch byte {
      case 0x30...0x39:
        value = value * 10 + Float(byte - 0x30)
        scale *= 10
      case 0x2e where scale == 0: scale = 1
      case 0x2d: sign = -1
      case 0x20: break
      case 0x2c:
        numbers.append(sign * value / max(1, scale))
        (value, scale, sign) = (0, 0, 1)
      default: throw damaged()
      }
    }
    guard numbers.count == count else { throw damaged() }
    return numbers
  }
}
