// Makes a picture smaller or larger and turns it into numbers: linear interpolation, widened when the picture
// shrinks so that every pixel counts (as Pillow's BILINEAR), of a part that is cut out beforehand.

/// The part of an upright picture that is wanted, in its pixels.
struct Crop {
  var left: Float
  var top: Float
  var width: Float
  var height: Float

  /// All of it.
  static func whole(_ width: Int, _ height: Int) -> Crop {
    Crop(left: 0, top: 0, width: Float(width), height: Float(height))
  }

  /// What is left in the centre when the shorter side is made `shorter` long and outWidth × outHeight cut out.
  static func centre(_ width: Int, _ height: Int, shorter: Int, outWidth: Int, outHeight: Int) -> Crop {
    let scale = Float(min(width, height)) / Float(shorter)
    // Whole pixels of the smaller picture, as those who crop it afterwards do.
    let (smallWidth, smallHeight) = (
      (Float(width) / scale).rounded(.down), (Float(height) / scale).rounded(.down)
    )
    let (scaleX, scaleY) = (Float(width) / smallWidth, Float(height) / smallHeight)
    let left = ((smallWidth - Float(outWidth)) / 2).rounded(.toNearestOrEven)
    let top = ((smallHeight - Float(outHeight)) / 2).rounded(.toNearestOrEven)
    return Crop(
      left: left * scaleX, top: top * scaleY, width: Float(outWidth) * scaleX,
      height: Float(outHeight) * scaleY)
  }
}

/// What one side's outputs take: neighbouring inputs and their weights.
private struct Taps {
  let first: UnsafeMutablePointer<Int>
  let count: UnsafeMutablePointer<Int>
  let weights: UnsafeMutablePointer<Float>
  let most: Int
  /// All inputs that are used.
  var low = 0
  var high = 0

  /// `size` outputs over start ..< start + length of an input of `limit` samples.
  init(size: Int, start: Float, length: Float, limit: Int) {
    let scale = length / Float(size)
    let reach = max(1, scale)
    most = Int(reach * 2) + 3
    first = .allocate(capacity: size)
    count = .allocate(capacity: size)
    weights = .allocate(capacity: size * most)
    low = limit
    for index in 0..<size {
      let centre = start + (Float(index) + 0.5) * scale
      let from = min(max(Int((centre - reach + 0.5).rounded(.down)), 0), limit - 1)
      let to = min(max(Int((centre + reach + 0.5).rounded(.down)), from + 1), limit)
      let number = min(to - from, most)
      var sum: Float = 0
      for tap in 0..<number {
        let distance = abs((Float(from + tap) + 0.5 - centre) / reach)
        let weight = max(0, 1 - distance)
        weights[index * most + tap] = weight
        sum += weight
      }
      if sum > 0 {
        for tap in 0..<number { weights[index * most + tap] /= sum }
      } else {
        weights[index * most] = 1
      }
      (first[index], count[index]) = (from, number)
      (low, high) = (min(low, from), max(high, from + number))
    }
  }

  func deallocate() {
    first.deallocate()
    count.deallocate()
    weights.deallocate()
  }
}

extension Picture {
  /// The size of the picture when it is turned upright.
  var uprightSize: (width: Int, height: Int) { orientation >= 5 ? (height, width) : (width, height) }

  /// Writes the part of the upright picture as [outHeight × outWidth × 3] levels of red, green and blue, 0 to 255.
  func resize(_ crop: Crop, outWidth: Int, outHeight: Int, into output: Floats) {
    // As the picture lies: the part, and the sizes that become the wanted ones when it is turned.
    let turns = orientation >= 5
    let (flipsX, flipsY) = ([2, 3, 6, 7].contains(orientation), [3, 4, 7, 8].contains(orientation))
    var lying = turns ? Crop(left: crop.top, top: crop.left, width: crop.height, height: crop.width) : crop
    let (across, down) = turns ? (outHeight, outWidth) : (outWidth, outHeight)
    // Orientations 6 and 7 flip what lies down before it becomes across.
    let (flipColumns, flipRows) = turns ? (flipsY, flipsX) : (flipsX, flipsY)
    if flipColumns { lying.left = Float(width) - lying.left - lying.width }
    if flipRows { lying.top = Float(height) - lying.top - lying.height }

    let levels = Floats.allocate(capacity: planes.count * across * down)
    defer { levels.deallocate() }
    for (index, plane) in planes.enumerated() {
      plane.resize(lying, outWidth: across, outHeight: down, into: levels + index * across * down)
    }
    let count = across * down
    for row in 0..<down {
      for column in 0..<across {
        let from = row * across + column
        let (x, y) = (flipColumns ? across - 1 - column : column, flipRows ? down - 1 - row : row)
        let to = output + 3 * (turns ? x * outWidth + y : y * outWidth + x)
        switch colours {
        case .grey:
          to[0] = levels[from]
          to[1] = levels[from]
          to[2] = levels[from]
        case .rgb:
          to[0] = levels[from]
          to[1] = levels[from + count]
          to[2] = levels[from + 2 * count]
        case .yCbCr:
          let (luma, blue, red) = (levels[from], levels[from + count] - 128, levels[from + 2 * count] - 128)
          to[0] = min(max(luma + 1.402 * red, 0), 255)
          to[1] = min(max(luma - 0.344136 * blue - 0.714136 * red, 0), 255)
          to[2] = min(max(luma + 1.772 * blue, 0), 255)
        }
      }
    }
  }
}

extension Plane {
  /// [outHeight × outWidth] levels of a part, which is given in the picture's pixels.
  fileprivate func resize(_ crop: Crop, outWidth: Int, outHeight: Int, into output: Floats) {
    let across = Taps(size: outWidth, start: crop.left * scaleX, length: crop.width * scaleX, limit: width)
    let down = Taps(size: outHeight, start: crop.top * scaleY, length: crop.height * scaleY, limit: height)
    // Down first: the sums of whole rows go four samples at a time.
    let columns = across.high - across.low
    let sums = Floats.allocate(capacity: columns + 8)
    defer {
      across.deallocate()
      down.deallocate()
      sums.deallocate()
    }
    for row in 0..<outHeight {
      for tap in 0..<down.count[row] {
        let from = start + (down.first[row] + tap) * stride + across.low * step
        add(from, columns, times: down.weights[row * down.most + tap], isFirst: tap == 0, to: sums)
      }
      let to = output + row * outWidth
      for column in 0..<outWidth {
        let (x, weights) = (sums + (across.first[column] - across.low), across.weights + column * across.most)
        var sum: Float = 0
        for tap in 0..<across.count[column] { sum += x[tap] * weights[tap] }
        to[column] = sum
      }
    }
  }

  /// sums = or += samples × weight; loops that the compiler makes vectors of.
  @inline(__always)
  private func add(
    _ from: UnsafeMutablePointer<UInt8>, _ count: Int, times weight: Float, isFirst: Bool, to sums: Floats
  ) {
    if isFirst { sums.update(repeating: 0, count: count) }
    if step == 1 {
      for index in 0..<count { sums[index] += Float(Int32(from[index])) * weight }
    } else {
      for index in 0..<count { sums[index] += Float(Int32(from[index &* step])) * weight }
    }
  }
}
