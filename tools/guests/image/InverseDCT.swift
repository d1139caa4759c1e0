// The inverse discrete cosine transform of a JPEG's blocks, in whole numbers: the fast algorithm of Loeffler,
// Ligtenberg and Moschytz (ICASSP 1989) with 13 bits of fraction, four columns or rows at a time.

struct InverseDCT {
  private typealias Lanes = SIMD4<Int32>
  private typealias Rows = (Lanes, Lanes, Lanes, Lanes, Lanes, Lanes, Lanes, Lanes)

  /// The coefficients, times their quantizers, in natural order.
  let block: UnsafeMutablePointer<Int32>
  let zigzag: UnsafePointer<UInt8>

  nonisolated(unsafe) private static let blockRoom = UnsafeMutablePointer<Int32>.allocate(capacity: 64)
  nonisolated(unsafe) private static let zigzagRoom: UnsafeMutablePointer<UInt8> = {
    let room = UnsafeMutablePointer<UInt8>.allocate(capacity: JPEGDecoder.zigzag.count)
    for (index, place) in JPEGDecoder.zigzag.enumerated() { room[index] = place }
    return room
  }()

  init() {
    block = Self.blockRoom
    zigzag = UnsafePointer(Self.zigzagRoom)
  }

  @inline(__always)
  func clear() {
    let zeros = UnsafeMutableRawPointer(block)
    for index in 0..<16 {
      zeros.storeBytes(of: SIMD4<Int32>(repeating: 0), toByteOffset: index * 16, as: SIMD4<Int32>.self)
    }
  }

  /// Writes the samples of the block; nothing behind the `last` coefficient in zigzag order is set.
  @inline(__always)
  func run(last: Int, to target: UnsafeMutablePointer<UInt8>, stride: Int) {
    if last == 0 {
      let level = min(max((block[0] &+ 4) &>> 3 &+ 128, 0), 255)
      let eight = UInt64(truncatingIfNeeded: level) &* 0x0101_0101_0101_0101
      for row in 0..<8 {
        UnsafeMutableRawPointer(target + row * stride).storeBytes(of: eight, as: UInt64.self)
      }
    } else if last < 10 {
      runCorner(to: target, stride: stride)
    } else {
      runFull(to: target, stride: stride)
    }
  }

  private func runFull(to target: UnsafeMutablePointer<UInt8>, stride: Int) {
    let left = Self.columns((row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)))
    let right = Self.columns(
      (row(0, 4), row(1, 4), row(2, 4), row(3, 4), row(4, 4), row(5, 4), row(6, 4), row(7, 4)))
    Self.finish(
      (left.0, left.1, left.2, left.3), (right.0, right.1, right.2, right.3), to: target, stride: stride)
    Self.finish(
      (left.4, left.5, left.6, left.7), (right.4, right.5, right.6, right.7), to: target + 4 * stride,
      stride: stride)
  }

  /// With coefficients in the upper left quarter only, as most blocks of photographs have them.
  private func runCorner(to target: UnsafeMutablePointer<UInt8>, stride: Int) {
    let none = Lanes(repeating: 0)
    let left = Self.columns((row(0), row(1), row(2), row(3), none, none, none, none))
    let right = (none, none, none, none)
    Self.finish((left.0, left.1, left.2, left.3), right, to: target, stride: stride)
    Self.finish((left.4, left.5, left.6, left.7), right, to: target + 4 * stride, stride: stride)
  }

  @inline(__always)
  private func row(_ index: Int, _ first: Int = 0) -> Lanes {
    UnsafeRawPointer(block + index * 8 + first).loadUnaligned(as: Lanes.self)
  }

  /// The first pass over four columns, with two more bits than it began with.
  @inline(__always)
  private static func columns(_ rows: Rows) -> Rows {
    let sums = transform(rows)
    func scaled(_ lanes: Lanes) -> Lanes { (lanes &+ 1024) &>> 11 }
    return (
      scaled(sums.0), scaled(sums.1), scaled(sums.2), scaled(sums.3), scaled(sums.4), scaled(sums.5),
      scaled(sums.6),
      scaled(sums.7)
    )
  }

  /// The second pass over four rows, given by their halves.
  @inline(__always)
  private static func finish(
    _ left: (Lanes, Lanes, Lanes, Lanes), _ right: (Lanes, Lanes, Lanes, Lanes),
    to target: UnsafeMutablePointer<UInt8>, stride: Int
  ) {
    let (a, b) = (transposed(left), transposed(right))
    let sums = transform((a.0, a.1, a.2, a.3, b.0, b.1, b.2, b.3))
    func level(_ lanes: Lanes) -> Lanes {
      let levels = (lanes &+ 131072) &>> 18 &+ 128
      return pointwiseMin(pointwiseMax(levels, Lanes(repeating: 0)), Lanes(repeating: 255))
    }
    // Four bytes of a lane are four neighbouring samples of a row.
    let near = level(sums.0) | level(sums.1) &<< 8 | level(sums.2) &<< 16 | level(sums.3) &<< 24
    let far = level(sums.4) | level(sums.5) &<< 8 | level(sums.6) &<< 16 | level(sums.7) &<< 24
    for row in 0..<4 {
      let to = UnsafeMutableRawPointer(target + row * stride)
      to.storeBytes(of: near[row], as: Int32.self)
      to.storeBytes(of: far[row], toByteOffset: 4, as: Int32.self)
    }
  }

  @inline(__always)
  private static func transposed(_ m: (Lanes, Lanes, Lanes, Lanes)) -> (Lanes, Lanes, Lanes, Lanes) {
    (
      Lanes(m.0[0], m.1[0], m.2[0], m.3[0]), Lanes(m.0[1], m.1[1], m.2[1], m.3[1]),
      Lanes(m.0[2], m.1[2], m.2[2], m.3[2]), Lanes(m.0[3], m.1[3], m.2[3], m.3[3])
    )
  }

  /// Eight points in each lane, with 13 bits of fraction more afterwards.
  @inline(__always)
  private static func transform(_ s: Rows) -> Rows {
    let turned = (s.2 &+ s.6) &* 4433
    let (t2, t3) = (turned &- s.6 &* 15137, turned &+ s.2 &* 6270)
    let (t0, t1) = ((s.0 &+ s.4) &<< 13, (s.0 &- s.4) &<< 13)
    let (e0, e3, e1, e2) = (t0 &+ t3, t0 &- t3, t1 &+ t2, t1 &- t2)
    let shared = (s.7 &+ s.3 &+ s.5 &+ s.1) &* 9633
    let z1 = (s.7 &+ s.1) &* -7373
    let z2 = (s.5 &+ s.3) &* -20995
    let z3 = (s.7 &+ s.3) &* -16069 &+ shared
    let z4 = (s.5 &+ s.1) &* -3196 &+ shared
    let o0 = s.7 &* 2446 &+ z1 &+ z3
    let o1 = s.5 &* 16819 &+ z2 &+ z4
    let o2 = s.3 &* 25172 &+ z2 &+ z3
    let o3 = s.1 &* 12299 &+ z1 &+ z4
    return (e0 &+ o3, e1 &+ o2, e2 &+ o1, e3 &+ o0, e3 &- o0, e2 &- o1, e1 &- o2, e0 &- o3)
  }
}
