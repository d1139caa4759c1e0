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
    // Rounded up to fours, zeros behind.
    most = (Int(reach * 2) + 6) / 4 * 4
    first = .allocate(capacity: size)
    count = .allocate(capacity: size)
    weights = .allocate(capacity: size * most)
    weights.update(repeating: 0, count: size * most)
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
    // Where the first pixel goes, and how far it is to the next one across and down.
    let (stepAcross, stepDown) = turns ? (outWidth, 1) : (1, outWidth)
    let first =
      (flipColumns ? (across - 1) * stepAcross : 0) + (flipRows ? (down - 1) * stepDown : 0)
    let (right, below) = (3 * (flipColumns ? -stepAcross : stepAcross), 3 * (flipRows ? -stepDown : stepDown))
    let count = across * down
    for row in 0..<down {
      var to = output + 3 * first + row * below
      let (x, y, z) = (
        levels + row * across, levels + row * across + count, levels + row * across + 2 * count
      )
      switch colours {
      case .grey:
        for column in 0..<across {
          (to[0], to[1], to[2]) = (x[column], x[column], x[column])
          to += right
        }
      case .rgb:
        for column in 0..<across {
          (to[0], to[1], to[2]) = (x[column], y[column], z[column])
          to += right
        }
      case .yCbCr:
        for column in 0..<across {
          let (luma, blue, red) = (x[column], y[column] - 128, z[column] - 128)
          to[0] = min(max(luma + 1.402 * red, 0), 255)
          to[1] = min(max(luma - 0.344136 * blue - 0.714136 * red, 0), 255)
          to[2] = min(max(luma + 1.772 * blue, 0), 255)
          to += right
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
    let room = columns + across.most
    let sums = Floats.allocate(capacity: room)
    sums.update(repeating: 0, count: room)
    defer {
      across.deallocate()
      down.deallocate()
      sums.deallocate()
    }
    for row in 0..<outHeight {
      let from = start + down.first[row] * stride + across.low * step
      addRows(from, down.count[row], columns, times: down.weights + row * down.most, into: sums)
      let to = output + row * outWidth
      for column in 0..<outWidth {
        let x = UnsafeRawPointer(sums + (across.first[column] - across.low))
        let weights = UnsafeRawPointer(across.weights + column * across.most)
        var sum = SIMD4<Float>.zero
        for tap in Swift.stride(from: 0, to: across.count[column] * 4, by: 16) {
          sum +=
            x.loadUnaligned(fromByteOffset: tap, as: SIMD4<Float>.self)
            * weights.loadUnaligned(fromByteOffset: tap, as: SIMD4<Float>.self)
        }
        to[column] = (sum[0] + sum[2]) + (sum[1] + sum[3])
      }
    }
  }

  /// sums = the rows' samples × weights; loops that the compiler makes vectors of.
  @inline(__always)
  private func addRows(
    _ from: UnsafeMutablePointer<UInt8>, _ rows: Int, _ count: Int, times weights: Floats, into sums: Floats
  ) {
    var row = 0
    while row < rows {
      // Two rows at a time halve the loads and stores of the sums.
      let (first, second) = (from + row * stride, from + (row + 1 < rows ? row + 1 : row) * stride)
      let (a, b) = (weights[row], row + 1 < rows ? weights[row + 1] : 0)
      if row == 0 { sums.update(repeating: 0, count: count) }
      if step == 1 {
        for index in 0..<count {
          sums[index] += Float(Int32(first[index])) * a + Float(Int32(second[index])) * b
        }
      } else {
        for index in 0..<count {
          sums[index] += Float(Int32(first[index &* step])) * a + Float(Int32(second[index &* step])) * b
        }
      }
      row += 2
    }
  }
}
