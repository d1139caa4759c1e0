// A decoded image: planes of 8-bit samples as the file has them, so that a JPEG's colours need not be brought to
// full size before the image is made smaller.

/// Samples in rows, in memory that the picture owns.
struct Plane {
  let start: UnsafeMutablePointer<UInt8>
  /// Samples from one to its right neighbour, and from a row to the next.
  let step: Int
  let stride: Int
  let width: Int
  let height: Int
  /// Samples of this plane for one pixel of the picture, across and down: 1, or less where colours are coarser.
  let scaleX: Float
  let scaleY: Float
}

final class Picture {
  enum Colours {
    case grey, rgb, yCbCr
  }

  /// Pixels, and bytes of everything that a decoder allocates: both bound what a hostile file can cost.
  static let pixelsMax = 1 << 25
  static let bytesMax = 72 << 20

  let width: Int
  let height: Int
  let colours: Colours
  let planes: [Plane]
  /// How to turn it, by EXIF's numbers: 1 is upright, 5 to 8 exchange width and height.
  var orientation = 1
  private let memory: [UnsafeMutableRawPointer]

  init(width: Int, height: Int, colours: Colours, planes: [Plane], memory: [UnsafeMutableRawPointer]) {
    self.width = width
    self.height = height
    self.colours = colours
    self.planes = planes
    self.memory = memory
  }

  deinit { for block in memory { block.deallocate() } }

  /// Decodes a PNG or a JPEG.
  static func decode(_ bytes: Bytes) throws(GuestError) -> Picture {
    if bytes.count >= 8, bytes[0] == 0x89, bytes[1] == 0x50, bytes[2] == 0x4e, bytes[3] == 0x47 {
      var decoder = try PNGDecoder(bytes)
      return try decoder.decode()
    }
    if bytes.count >= 4, bytes[0] == 0xff, bytes[1] == 0xd8 { return try JPEGDecoder(bytes).decode() }
    throw GuestError("the input is neither a PNG nor a JPEG")
  }

  /// Refuses sizes that would take too much memory; `samples` are the samples of a pixel.
  static func check(width: Int, height: Int, bytesPerPixel: Int) throws(GuestError) {
    guard width > 0, height > 0 else { throw GuestError("the image is damaged: it has no pixels") }
    guard width <= 1 << 16, height <= 1 << 16, width <= pixelsMax / height,
      width * height <= bytesMax / max(1, bytesPerPixel)
    else { throw GuestError("the image is too large") }
  }
}

/// Big-endian numbers of image files; the caller has checked that they are there.
extension Bytes {
  func big16(_ at: Int) -> Int { Int(self[at]) << 8 | Int(self[at + 1]) }

  func big32(_ at: Int) -> UInt32 { UInt32(big16(at)) << 16 | UInt32(big16(at + 2)) }

  func part(_ from: Int, _ count: Int) -> Bytes { Bytes(start: start + from, count: count) }
}

/// The orientation in an EXIF block, which is a TIFF file; 1 when there is none that is understood.
func exifOrientation(_ tiff: Bytes) -> Int {
  guard tiff.count >= 14 else { return 1 }
  let isLittle = tiff[0] == 0x49
  guard tiff[0] == tiff[1], isLittle || tiff[0] == 0x4d else { return 1 }
  func short(_ at: Int) -> Int { isLittle ? Int(tiff[at]) | Int(tiff[at + 1]) << 8 : tiff.big16(at) }
  let directory = isLittle ? short(6) << 16 | short(4) : short(4) << 16 | short(6)
  guard directory >= 8, directory <= tiff.count - 2 else { return 1 }
  for entry in 0..<short(directory) {
    let at = directory + 2 + entry * 12
    guard at + 12 <= tiff.count else { return 1 }
    if short(at) == 0x0112 { return (1...8).contains(short(at + 8)) ? short(at + 8) : 1 }
  }
  return 1
}
