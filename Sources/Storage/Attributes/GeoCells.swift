// Places on a space-filling curve: which stretches of the curve cover a box (Morton order; Tropf and Herzog,
// Angewandte Informatik 1981).

/// Cells of the Z-order curve over latitude and longitude, 32 bits each.
enum GeoCells {
  /// Stretches that a box is cut into, at most.
  private static let rangesMax = 64

  static func cell(latitude: Double, longitude: Double) -> UInt64 {
    interleave(step(longitude, -180, 180)) | interleave(step(latitude, -90, 90)) << 1
  }

  /// Stretches of cells that cover every place of the box (and some more), ascending.
  static func ranges(latitudes: ClosedRange<Double>, longitudes: ClosedRange<Double>) -> [ClosedRange<UInt64>]
  {
    let (x0, x1) = (step(longitudes.lowerBound, -180, 180), step(longitudes.upperBound, -180, 180))
    let (y0, y1) = (step(latitudes.lowerBound, -90, 90), step(latitudes.upperBound, -90, 90))
    var ranges: [ClosedRange<UInt64>] = []
    // Squares of the quadtree that meet the box without lying in it, all of one size.
    var open: [(x: UInt32, y: UInt32)] = [(0, 0)]
    var bits: UInt32 = 32
    while !open.isEmpty {
      let isLast = bits == 0 || open.count * 4 + ranges.count > rangesMax
      var next: [(x: UInt32, y: UInt32)] = []
      for (x, y) in open {
        let size = bits == 32 ? UInt32.max : (1 << bits) - 1
        let (right, top) = (x | size, y | size)
        guard x <= x1, right >= x0, y <= y1, top >= y0 else { continue }
        let isInside = x >= x0 && right <= x1 && y >= y0 && top <= y1
        if isInside || isLast {
          ranges.append(interleave(x) | interleave(y) << 1...interleave(right) | interleave(top) << 1)
        } else {
          let half: UInt32 = 1 << (bits - 1)
          next += [(x, y), (x | half, y), (x, y | half), (x | half, y | half)]
        }
      }
      open = next
      if bits > 0 { bits -= 1 }
    }
    ranges.sort { $0.lowerBound < $1.lowerBound }
    return ranges
  }

  private static func step(_ value: Double, _ low: Double, _ high: Double) -> UInt32 {
    let share = (value - low) / (high - low) * 0x1p32
    guard share > 0 else { return 0 }  // NaN, too, which a damaged file may hold
    return share >= 0x1p32 ? .max : UInt32(share)
  }

  /// Puts a zero before each bit.
  private static func interleave(_ value: UInt32) -> UInt64 {
    var word = UInt64(value)
    word = (word | word << 16) & 0x0000_ffff_0000_ffff
    word = (word | word << 8) & 0x00ff_00ff_00ff_00ff
    word = (word | word << 4) & 0x0f0f_0f0f_0f0f_0f0f
    word = (word | word << 2) & 0x3333_3333_3333_3333
    return (word | word << 1) & 0x5555_5555_5555_5555
  }
}
