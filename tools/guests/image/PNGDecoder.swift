// Decodes PNG files (PNG specification, third edition): all colour types, depths, filters and interlacing. What
// is transparent keeps the colour that it has.

struct PNGDecoder {
  private struct Pass {
    let x, y, stepX, stepY: Int
  }

  private static let adam7 = [
    Pass(x: 0, y: 0, stepX: 8, stepY: 8), Pass(x: 4, y: 0, stepX: 8, stepY: 8),
    Pass(x: 0, y: 4, stepX: 4, stepY: 8),
    Pass(x: 2, y: 0, stepX: 4, stepY: 4), Pass(x: 0, y: 2, stepX: 2, stepY: 4),
    Pass(x: 1, y: 0, stepX: 2, stepY: 2),
    Pass(x: 0, y: 1, stepX: 1, stepY: 2),
  ]

  private let width: Int
  private let height: Int
  private let depth: Int
  private let type: Int
  private let isInterlaced: Bool
  private var palette: Bytes?
  private var parts: [Bytes] = []
  private var orientation = 1

  /// Samples of a pixel in the file.
  private var channels: Int { [1, 0, 3, 1, 2, 0, 4][type] }

  init(_ bytes: Bytes) throws(GuestError) {
    func damaged() -> GuestError { GuestError("the PNG is damaged or cut short") }
    guard bytes.count >= 33, bytes.big32(8) == 13, bytes.big32(12) == 0x4948_4452 else { throw damaged() }
    guard bytes.big32(16) <= 1 << 16, bytes.big32(20) <= 1 << 16 else {
      throw GuestError("the image is too large")
    }
    (width, height) = (Int(bytes.big32(16)), Int(bytes.big32(20)))
    (depth, type) = (Int(bytes[24]), Int(bytes[25]))
    let depths: [Int]
    switch type {
    case 0: depths = [1, 2, 4, 8, 16]
    case 3: depths = [1, 2, 4, 8]
    case 2, 4, 6: depths = [8, 16]
    default: throw damaged()
    }
    guard depths.contains(depth), bytes[26] == 0, bytes[27] == 0, bytes[28] <= 1 else { throw damaged() }
    isInterlaced = bytes[28] == 1
    // What is unpacked, and what becomes of it.
    try Picture.check(width: width, height: height, bytesPerPixel: 3 + (channels * depth + 7) / 8)
    var at = 33
    while at + 12 <= bytes.count {
      let (length, kind) = (bytes.big32(at), bytes.big32(at + 4))
      guard length <= UInt32(bytes.count - at - 12) else { throw damaged() }
      let content = bytes.part(at + 8, Int(length))
      switch kind {
      case 0x504c_5445: palette = content
      case 0x4944_4154: parts.append(content)
      case 0x6558_4966: orientation = exifOrientation(content)
      case 0x4945_4e44: at = bytes.count
      default: break
      }
      at += 12 + Int(length)
    }
    if type == 3 {
      guard let palette, palette.count >= 3, palette.count % 3 == 0, palette.count <= 768 else {
        throw damaged()
      }
    }
    guard !parts.isEmpty else { throw damaged() }
  }

  mutating func decode() throws(GuestError) -> Picture {
    let bitsPerPixel = channels * depth
    let passes = isInterlaced ? Self.adam7 : [Pass(x: 0, y: 0, stepX: 1, stepY: 1)]
    var total = 0
    for pass in passes {
      let (w, h) = size(pass)
      if w > 0 && h > 0 { total += h * (1 + (w * bitsPerPixel + 7) / 8) }
    }
    let raw = UnsafeMutablePointer<UInt8>.allocate(capacity: total)
    defer { raw.deallocate() }
    try Inflate.run(parts, to: raw, count: total)

    let samples = type == 0 || type == 4 ? 1 : 3
    let pixels = UnsafeMutablePointer<UInt8>.allocate(capacity: width * height * samples)
    var isWhole = false
    defer { if !isWhole { pixels.deallocate() } }
    var from = raw
    for pass in passes {
      let (w, h) = size(pass)
      guard w > 0, h > 0 else { continue }
      let rowBytes = (w * bitsPerPixel + 7) / 8
      var above: UnsafeMutablePointer<UInt8>?
      for row in 0..<h {
        guard unfilter(from + 1, above, Int(from[0]), rowBytes, max(1, bitsPerPixel / 8)) else {
          throw GuestError("the PNG is damaged: it has an unknown filter")
        }
        expand(
          from + 1, w, to: pixels + ((pass.y + row * pass.stepY) * width + pass.x) * samples,
          step: pass.stepX * samples)
        above = from + 1
        from += 1 + rowBytes
      }
    }
    isWhole = true
    let planes = (0..<samples).map {
      Plane(
        start: pixels + $0, step: samples, stride: width * samples, width: width, height: height, scaleX: 1,
        scaleY: 1)
    }
    let picture = Picture(
      width: width, height: height, colours: samples == 1 ? .grey : .rgb, planes: planes,
      memory: [UnsafeMutableRawPointer(pixels)])
    picture.orientation = orientation
    return picture
  }

  private func size(_ pass: Pass) -> (Int, Int) {
    ((width - pass.x + pass.stepX - 1) / pass.stepX, (height - pass.y + pass.stepY - 1) / pass.stepY)
  }

  /// Undoes the filter of one row, in place.
  private func unfilter(
    _ row: UnsafeMutablePointer<UInt8>, _ above: UnsafeMutablePointer<UInt8>?, _ filter: Int, _ count: Int,
    _ pixelBytes: Int
  ) -> Bool {
    switch filter {
    case 0: break
    case 1:
      if count > pixelBytes { for index in pixelBytes..<count { row[index] &+= row[index - pixelBytes] } }
    case 2:
      guard let above else { break }
      for index in 0..<count { row[index] &+= above[index] }
    case 3:
      for index in 0..<count {
        let left = index >= pixelBytes ? Int(row[index - pixelBytes]) : 0
        row[index] &+= UInt8((left + Int(above?[index] ?? 0)) / 2)
      }
    case 4:
      guard let above else { return unfilter(row, nil, 1, count, pixelBytes) }
      for index in 0..<min(pixelBytes, count) { row[index] &+= above[index] }
      guard count > pixelBytes else { break }
      for index in pixelBytes..<count {
        let (a, b, c) = (Int(row[index - pixelBytes]), Int(above[index]), Int(above[index - pixelBytes]))
        let (p, q) = (b - c, a - c)
        let (distanceA, distanceB, distanceC) = (abs(p), abs(q), abs(p + q))
        let nearest = distanceA <= distanceB && distanceA <= distanceC ? a : distanceB <= distanceC ? b : c
        row[index] &+= UInt8(truncatingIfNeeded: nearest)
      }
    default: return false
    }
    return true
  }

  /// Writes a row's pixels as 8-bit grey or RGB.
  private func expand(
    _ row: UnsafeMutablePointer<UInt8>, _ count: Int, to target: UnsafeMutablePointer<UInt8>, step: Int
  ) {
    if depth < 8 {
      let (mask, largest) = ((1 << depth) - 1, 255 / ((1 << depth) - 1))
      for index in 0..<count {
        let bit = index * depth
        let value = Int(row[bit >> 3]) >> (8 - depth - bit & 7) & mask
        put(value, largest, target + index * step)
      }
      return
    }
    let sampleBytes = depth / 8
    let pixelBytes = channels * sampleBytes
    let colours = type == 2 || type == 6 ? 3 : 1
    if type == 3 {
      for index in 0..<count { put(Int(row[index]), 1, target + index * step) }
    } else {
      for index in 0..<count {
        for colour in 0..<colours {
          target[index * step + colour] = row[index * pixelBytes + colour * sampleBytes]
        }
      }
    }
  }

  /// A sample that is an index of the palette, or a grey level out of few.
  @inline(__always)
  private func put(_ value: Int, _ factor: Int, _ target: UnsafeMutablePointer<UInt8>) {
    guard let palette, type == 3 else {
      target[0] = UInt8(value * factor)
      return
    }
    // Beyond the palette: black, as most decoders have it.
    let isKnown = value * 3 + 2 < palette.count
    for colour in 0..<3 { target[colour] = isKnown ? palette[value * 3 + colour] : 0 }
  }
}
