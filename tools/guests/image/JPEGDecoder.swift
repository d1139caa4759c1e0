// Decodes JPEG files (ITU-T T.81): baseline, extended and progressive, 8 bits, grey or YCbCr with any sampling.
// This file reads the markers; JPEGScan reads the coefficients, InverseDCT makes samples of them.

struct JPEGComponent {
  let id: Int
  /// Blocks across and down in one unit of an interleaved scan.
  let h: Int
  let v: Int
  let quantizer: Int
  /// Blocks that have pixels of the image, and blocks that are kept: whole units.
  var blocksWide = 0
  var blocksHigh = 0
  var stride = 0
  var rows = 0
  var samples = UnsafeMutablePointer<UInt8>(bitPattern: 16).unsafelyUnwrapped
  /// Of progressive files: [rows × stride × 64] in natural order.
  var coefficients: UnsafeMutablePointer<Int16>?
  var dcCode = 0
  var acCode = 0
}

final class JPEGDecoder {
  /// The position of the k-th coefficient of the zigzag order; what runs beyond the last falls on it.
  static let zigzag: [UInt8] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53,
    60, 61,
    54, 47, 55, 62, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
  ]
  private static let scansMax = 100

  private let bytes: Bytes
  private var at = 2
  /// Four tables of 64 in natural order; zero where there is none yet.
  private let quantizers = UnsafeMutablePointer<Int32>.allocate(capacity: 4 * 64)
  private var hasQuantizer = [false, false, false, false]
  let codes = HuffmanCodes()
  var components: [JPEGComponent] = []
  private var memory: [UnsafeMutableRawPointer] = []
  private(set) var isProgressive = false
  private var width = 0
  private var height = 0
  private(set) var unitsWide = 0
  private(set) var unitsHigh = 0
  private(set) var restartInterval = 0
  private var orientation = 1
  private var adobeTransform: Int?

  init(_ bytes: Bytes) {
    self.bytes = bytes
    quantizers.update(repeating: 0, count: 4 * 64)
  }

  deinit {
    quantizers.deallocate()
    for block in memory { block.deallocate() }
  }

  static func damaged() -> GuestError { GuestError("the JPEG is damaged or cut short") }

  func decode() throws(GuestError) -> Picture {
    var scans = 0
    while true {
      let marker = try nextMarker()
      if marker == 0xd9 { break }
      if marker == 0x01 || (0xd0...0xd7).contains(marker) { continue }
      guard at + 2 <= bytes.count else { throw Self.damaged() }
      let length = bytes.big16(at)
      guard length >= 2, length <= bytes.count - at else { throw Self.damaged() }
      let content = bytes.part(at + 2, length - 2)
      at += length
      switch marker {
      case 0xc0, 0xc1, 0xc2: try readFrame(content, isProgressive: marker == 0xc2)
      case 0xc4: try codes.read(content)
      case 0xc3, 0xc5...0xc7, 0xc9...0xcb, 0xcd...0xcf:
        throw GuestError("the JPEG is of a kind that is not supported: lossless, hierarchical or arithmetic")
      case 0xdb: try readQuantizers(content)
      case 0xdd:
        guard content.count >= 2 else { throw Self.damaged() }
        restartInterval = content.big16(0)
      case 0xe1:
        if content.count > 6, content.big32(0) == 0x4578_6966 {
          orientation = exifOrientation(content.part(6, content.count - 6))
        }
      case 0xee:
        if content.count >= 12, content.big32(0) == 0x4164_6f62 { adobeTransform = Int(content[11]) }
      case 0xda:
        scans += 1
        guard scans <= Self.scansMax else { throw GuestError("the JPEG has too many scans") }
        at += try readScan(content, bytes.part(at, bytes.count - at))
      default: break
      }
      // What follows the last scan does not matter, and often the end marker is missing.
      if at >= bytes.count, scans > 0 { break }
    }
    guard scans > 0 else { throw Self.damaged() }
    if isProgressive { transformAll() }
    return picture()
  }

  private func nextMarker() throws(GuestError) -> Int {
    while at + 1 < bytes.count {
      if bytes[at] == 0xff, bytes[at + 1] != 0, bytes[at + 1] != 0xff {
        at += 2
        return Int(bytes[at - 1])
      }
      at += 1
    }
    guard !components.isEmpty else { throw Self.damaged() }
    return 0xd9
  }

  private func readQuantizers(_ content: Bytes) throws(GuestError) {
    var from = 0
    while from < content.count {
      let (isWide, table) = (content[from] >> 4 != 0, Int(content[from] & 15))
      let size = isWide ? 128 : 64
      guard table < 4, content[from] >> 4 <= 1, from + 1 + size <= content.count else { throw Self.damaged() }
      for k in 0..<64 {
        let value = isWide ? content.big16(from + 1 + 2 * k) : Int(content[from + 1 + k])
        quantizers[table * 64 + Int(Self.zigzag[k])] = Int32(value)
      }
      hasQuantizer[table] = true
      from += 1 + size
    }
  }

  func quantizer(_ component: JPEGComponent) -> UnsafeMutablePointer<Int32> {
    quantizers + component.quantizer * 64
  }

  private func readFrame(_ content: Bytes, isProgressive: Bool) throws(GuestError) {
    guard components.isEmpty, content.count >= 6, content.count >= 6 + 3 * Int(content[5]) else {
      throw Self.damaged()
    }
    guard content[0] == 8 else {
      throw GuestError("the JPEG has other than 8 bits a sample, which is not supported")
    }
    (height, width) = (content.big16(1), content.big16(3))
    self.isProgressive = isProgressive
    let count = Int(content[5])
    guard count == 1 || count == 3 else {
      throw GuestError("the JPEG is neither grey nor of three colours (CMYK, say), which is not supported")
    }
    var (largestH, largestV) = (1, 1)
    for index in 0..<count {
      let entry = content.part(6 + 3 * index, 3)
      let component = JPEGComponent(
        id: Int(entry[0]), h: count == 1 ? 1 : Int(entry[1] >> 4), v: count == 1 ? 1 : Int(entry[1] & 15),
        quantizer: Int(entry[2]))
      guard (1...4).contains(component.h), (1...4).contains(component.v), component.quantizer < 4 else {
        throw Self.damaged()
      }
      (largestH, largestV) = (max(largestH, component.h), max(largestV, component.v))
      components.append(component)
    }
    let perSample = isProgressive ? 3 : 1
    try Picture.check(width: width, height: height, bytesPerPixel: count * perSample)
    (unitsWide, unitsHigh) = (
      (width + 8 * largestH - 1) / (8 * largestH), (height + 8 * largestV - 1) / (8 * largestV)
    )
    var total = 0
    for index in 0..<count {
      let (h, v) = (components[index].h, components[index].v)
      components[index].blocksWide = ((width * h + largestH - 1) / largestH + 7) / 8
      components[index].blocksHigh = ((height * v + largestV - 1) / largestV + 7) / 8
      components[index].stride = unitsWide * h * 8
      components[index].rows = unitsHigh * v * 8
      total += components[index].stride * components[index].rows
      guard total <= Picture.bytesMax / perSample else { throw GuestError("the image is too large") }
    }
    for index in 0..<count {
      let size = components[index].stride * components[index].rows
      let samples = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
      memory.append(UnsafeMutableRawPointer(samples))
      components[index].samples = samples
      // A scan that leaves out a component leaves it grey.
      samples.update(repeating: 128, count: size)
      guard isProgressive else { continue }
      let coefficients = UnsafeMutablePointer<Int16>.allocate(capacity: size)
      coefficients.update(repeating: 0, count: size)
      memory.append(UnsafeMutableRawPointer(coefficients))
      components[index].coefficients = coefficients
    }
  }

  /// Reads a scan; returns the bytes that its data take.
  private func readScan(_ content: Bytes, _ data: Bytes) throws(GuestError) -> Int {
    guard !components.isEmpty, content.count >= 1 else { throw Self.damaged() }
    let count = Int(content[0])
    guard (1...components.count).contains(count), content.count >= 4 + 2 * count else { throw Self.damaged() }
    var chosen: [Int] = []
    for index in 0..<count {
      let id = Int(content[1 + 2 * index])
      guard let found = components.firstIndex(where: { $0.id == id }), !chosen.contains(found) else {
        throw Self.damaged()
      }
      let tables = content[2 + 2 * index]
      guard tables >> 4 < 4, tables & 15 < 4 else { throw Self.damaged() }
      components[found].dcCode = Int(tables >> 4)
      components[found].acCode = Int(tables & 15)
      guard hasQuantizer[components[found].quantizer] || isProgressive else { throw Self.damaged() }
      chosen.append(found)
    }
    let last = content.part(1 + 2 * count, 3)
    var scan = JPEGScan(
      self, data, first: Int(last[0]), last: Int(last[1]), high: Int(last[2] >> 4), low: Int(last[2] & 15))
    return try scan.read(chosen)
  }

  /// The samples of a progressive file, once all its scans are read.
  private func transformAll() {
    let transform = InverseDCT()
    for component in components {
      guard let coefficients = component.coefficients else { continue }
      let table = quantizer(component)
      for row in 0..<component.rows / 8 {
        for column in 0..<component.stride / 8 {
          let block = coefficients + (row * component.stride / 8 + column) * 64
          var last = 0
          for k in 0..<64 {
            let place = Int(transform.zigzag[k])
            if block[place] != 0 { last = k }
            transform.block[place] = Int32(block[place]) &* table[place]
          }
          transform.run(
            last: last, to: component.samples + row * 8 * component.stride + column * 8,
            stride: component.stride)
        }
      }
    }
  }

  private func picture() -> Picture {
    let (largestH, largestV) = (
      components.reduce(1) { max($0, $1.h) }, components.reduce(1) { max($0, $1.v) }
    )
    let planes = components.map { component in
      let (h, v) = (component.h, component.v)
      return Plane(
        start: component.samples, step: 1, stride: component.stride,
        width: (width * h + largestH - 1) / largestH, height: (height * v + largestV - 1) / largestV,
        scaleX: Float(h) / Float(largestH), scaleY: Float(v) / Float(largestV))
    }
    // Without a word from Adobe's marker, three colours are YCbCr, unless they are called R, G and B.
    let isRGB =
      adobeTransform.map { $0 == 0 }
      ?? (components.count == 3 && components[0].id == 0x52 && components[1].id == 0x47)
    let picture = Picture(
      width: width, height: height, colours: components.count == 1 ? .grey : isRGB ? .rgb : .yCbCr,
      planes: planes,
      memory: memory)
    memory = []
    picture.orientation = orientation
    return picture
  }
}
