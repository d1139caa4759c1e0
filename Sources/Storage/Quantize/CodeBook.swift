// 4-bit codes of vectors, for ranking neighbours without reading them from disk. `spec/graph.md`, "Codes".

import CKernels
import Core

/// How vectors become codes: shift by the mean, rotate, round each dimension to one of 16 levels. Binary vectors
/// are codes already: all their bits, or bytes spread evenly over them.
///
/// The random rotation spreads every vector's length evenly over the dimensions, so one scale a vector
/// serves all of them (RaBitQ, arXiv:2405.12497; LVQ, arXiv:2304.04759).
struct CodeBook: Sendable {
  static let formatVersion: UInt32 = 1
  private static let magic: UInt32 = 0x3143_4f52  // "ROC1"
  private static let rotationSeed: UInt64 = 0x726f_6f73_7431
  private static let meanSample = 16_384
  /// Bytes of a longer binary vector that make its code.
  private static let binaryBytesMax = 128

  let shape: VectorShape
  /// `[dimension]`, the centre; empty for binary vectors.
  let mean: [Float]
  private let signs: [UInt64]
  /// Bytes of codes in a row; scale and squared norm follow unless the vectors are binary.
  let halfBytes: Int
  /// From one coded row to the next.
  let rowStride: Int
  let kernel: roost_code_kernel

  /// - Parameter mean: `[dimension]`, the centre of the vectors (normalised ones for cosine); empty for binary.
  init(shape: VectorShape, mean: [Float], level: KernelLevel = .best) {
    precondition(mean.count == Self.meanCount(shape))
    self.shape = shape
    self.mean = mean
    kernel = Self.kernel(shape, level)
    let isBinary = shape.element == .binary
    halfBytes = isBinary ? min(shape.rowBytes, Self.binaryBytesMax) : (shape.dimension + 1) / 2
    rowStride = (halfBytes + (isBinary ? 0 : 8) + 3) & ~3
    var random = SplitMix64(seed: Self.rotationSeed)
    signs = (0..<(4 * shape.dimension + 63) / 64).map { _ in random.next() }
  }

  static func kernel(_ shape: VectorShape, _ level: KernelLevel) -> roost_code_kernel {
    shape.element == .binary
      ? roost_binary_code_kernel_at(level.rawValue) : roost_code_kernel_at(level.rawValue)
  }

  private static func meanCount(_ shape: VectorShape) -> Int {
    shape.element == .binary ? 0 : shape.dimension
  }

  private var isBinary: Bool { shape.element == .binary }

  /// A book for `count` vectors, from the mean of an even sample of them.
  init(shape: VectorShape, count: Int, vector: (Int) -> UnsafeRawPointer) {
    guard shape.element != .binary else {
      self.init(shape: shape, mean: [])
      return
    }
    var sum = [Double](repeating: 0, count: shape.dimension)
    var floats = [Float](repeating: 0, count: shape.dimension)
    let sampled = min(count, Self.meanSample)
    for index in 0..<sampled {
      Self.load(vector(index * count / sampled), shape, into: &floats)
      for dimension in sum.indices { sum[dimension] += Double(floats[dimension]) }
    }
    self.init(shape: shape, mean: sum.map { Float($0 / Double(max(sampled, 1))) })
  }

  /// From the start of the section to the first row.
  static func headerBytes(_ shape: VectorShape) -> Int { (24 + meanCount(shape) * 4 + 63) & ~63 }

  /// Header, coded rows, where cells begin, and their coded centres.
  func sectionBytes(rows: Int, cells: Int) -> Int {
    Self.headerBytes(shape) + (rows + cells) * rowStride + cells * 4
  }

  /// Magic, version, dimension, element, metric, row stride, number of cells (u32 each but the two bytes and
  /// their padding), the mean, zeros to a multiple of 64.
  func encodedHeader(cells: Int) -> [UInt8] {
    var writer = ByteWriter(reserving: Self.headerBytes(shape))
    writer.u32(Self.magic)
    writer.u32(Self.formatVersion)
    writer.u32(UInt32(shape.dimension))
    writer.u8(shape.element.rawValue)
    writer.u8(shape.metric.rawValue)
    writer.u16(0)
    writer.u32(UInt32(rowStride))
    writer.u32(UInt32(cells))
    for value in mean { writer.f32(value) }
    writer.pad(to: 64)
    return writer.bytes
  }

  /// Reads a header that `encodedHeader` made for this shape; refuses anything else with `.corrupted`.
  static func read(
    shape: VectorShape, header: UnsafeRawBufferPointer, file: String, offset: UInt64
  ) throws(RoostError) -> (book: CodeBook, cells: Int) {
    func refuse(_ message: String) -> RoostError { .corrupted(message, file: file, offset: offset) }
    guard header.count == headerBytes(shape) else {
      throw refuse("the header of the codes has \(header.count) bytes")
    }
    var reader = ByteReader(header)
    guard try reader.u32() == magic, try reader.u32() == formatVersion else {
      throw refuse("the section of codes has an unknown format")
    }
    guard try reader.u32() == UInt32(shape.dimension), try reader.u8() == shape.element.rawValue,
      try reader.u8() == shape.metric.rawValue, try reader.u16() == 0
    else { throw refuse("the codes are of other vectors") }
    let stride = try reader.u32()
    let cells = Int(try reader.u32())
    var mean: [Float] = []
    mean.reserveCapacity(meanCount(shape))
    for _ in 0..<meanCount(shape) { mean.append(try reader.f32()) }
    let book = CodeBook(shape: shape, mean: mean)
    guard stride == UInt32(book.rowStride) else { throw refuse("coded rows of \(stride) bytes") }
    return (book, cells)
  }

  /// Codes one vector into `row` (`rowStride` bytes).
  func encode(_ vector: UnsafeRawPointer, into row: UnsafeMutableRawPointer, floats: inout [Float]) {
    guard !isBinary else {
      sample(vector, into: row.assumingMemoryBound(to: UInt8.self))
      return
    }
    load(vector, into: &floats)
    encode(&floats, into: row)
  }

  /// Codes a vector of floats as `load` makes them, or a mean of such, whose memory is used up.
  func encode(_ floats: inout [Float], into row: UnsafeMutableRawPointer) {
    guard !isBinary else {
      let bits = Vector(bits: floats.map { $0 > 0.5 }).bytes
      bits.withUnsafeBytes { bits in
        if let base = bits.baseAddress { sample(base, into: row.assumingMemoryBound(to: UInt8.self)) }
      }
      return
    }
    var withMean: Float = 0
    for index in floats.indices {
      floats[index] -= mean[index]
      withMean += floats[index] * mean[index]
    }
    roost_rotate(&floats, shape.dimension, signs)
    roost_encode_codes(floats, shape.dimension, row.assumingMemoryBound(to: UInt8.self))
    if shape.metric == .innerProduct {
      row.storeBytes(of: withMean, toByteOffset: halfBytes + 4, as: Float.self)
    }
  }

  /// Bytes of a binary vector, spread evenly.
  private func sample(_ vector: UnsafeRawPointer, into row: UnsafeMutablePointer<UInt8>) {
    let (count, total) = (halfBytes, shape.rowBytes)
    for index in 0..<count {
      row[index] = vector.load(fromByteOffset: index * total / count, as: UInt8.self)
    }
  }

  /// The elements as floats, `[dimension]`; for cosine, of length 1.
  func load(_ vector: UnsafeRawPointer, into floats: UnsafeMutablePointer<Float>) {
    Self.load(vector, shape, into: floats)
  }

  /// Rotates `[dimension]` floats in place.
  func rotate(_ floats: UnsafeMutablePointer<Float>) { roost_rotate(floats, shape.dimension, signs) }

  static func load(
    _ vector: UnsafeRawPointer, _ shape: VectorShape, into floats: UnsafeMutablePointer<Float>
  ) {
    roost_to_floats(Int32(shape.element.rawValue), vector, shape.dimension, floats)
    guard shape.metric == .cosine, shape.element != .f32 else { return }
    var squared: Float = 0
    for index in 0..<shape.dimension { squared += floats[index] * floats[index] }
    guard squared > 0 else { return }
    let scale = 1 / squared.squareRoot()
    for index in 0..<shape.dimension { floats[index] *= scale }
  }

  /// Prepares `query` to rank neighbours by their links.
  func prepare(_ query: LinkQuery, for vector: UnsafeRawPointer, chunks: Int) {
    query.floats.reserve(shape.dimension)
    let floats = query.floats.base
    load(vector, into: floats)
    mean.withUnsafeBufferPointer { mean in
      for index in mean.indices { floats[index] -= mean[index] }
    }
    rotate(floats)
    query.round(dimension: shape.dimension, chunks: chunks)
  }

  /// Prepares `query` to estimate distances from codes.
  func prepare(_ query: CodeQuery, for vector: UnsafeRawPointer) {
    let dimension = shape.dimension
    query.resize(dimension: dimension, half: halfBytes)
    guard !isBinary else {
      query.low.withMemoryRebound(to: UInt8.self, capacity: halfBytes) { sample(vector, into: $0) }
      query.parameters = roost_code_query(
        low: query.low, high: query.high, half: halfBytes, base: 0, norm_weight: 0,
        scale_weight: Float(shape.rowBytes) / Float(halfBytes), offset: 0)
      return
    }
    load(vector, into: &query.floats)
    var withMean: Float = 0
    for index in 0..<dimension {
      withMean += query.floats[index] * mean[index]
      query.floats[index] -= mean[index]
    }
    roost_rotate(&query.floats, dimension, signs)
    var largest: Float = 0
    var squared: Float = 0
    for value in query.floats {
      largest = max(largest, abs(value))
      squared += value * value
    }
    let step = largest > 0 && largest.isFinite ? largest / 127 : 1
    var sum: Int32 = 0
    for index in 0..<dimension {
      let value = query.floats[index] / step
      let level = Int8(max(-127, min(127, value.isFinite ? value.rounded() : 0)))
      query.setLevel(level, at: index)
      sum += Int32(level)
    }
    // With x' = x − mean and q' = q − mean: |q − x|² = |q'|² + |x'|² − 2 q'·x'; 1 − cosine is half of that;
    // −q·x = −q·mean − mean·x' − q'·x'. The rows hold |x'|², or mean·x' for the inner product.
    let (base, normWeight, productWeight): (Float, Float, Float) =
      switch shape.metric {
      case .l2, .hamming: (squared, 1, -2)
      case .cosine: (squared / 2, 0.5, -1)
      case .innerProduct: (-withMean, -1, -1)
      }
    query.parameters = roost_code_query(
      low: query.low, high: query.high, half: halfBytes, base: base, norm_weight: normWeight,
      scale_weight: productWeight * step, offset: 7.5 * Float(sum))
  }
}

/// A query in the form that the code kernel takes; reused from query to query.
final class CodeQuery {
  fileprivate var floats: [Float] = []
  fileprivate private(set) var low: UnsafeMutablePointer<Int8>
  fileprivate private(set) var high: UnsafeMutablePointer<Int8>
  private var half: Int
  fileprivate var parameters: roost_code_query

  init() {
    half = 1
    low = .allocate(capacity: 1)
    high = .allocate(capacity: 1)
    parameters = roost_code_query(
      low: low, high: high, half: 0, base: 0, norm_weight: 0, scale_weight: 0, offset: 0)
  }

  deinit {
    low.deallocate()
    high.deallocate()
  }

  fileprivate func resize(dimension: Int, half: Int) {
    if floats.count != dimension { floats = [Float](repeating: 0, count: dimension) }
    if self.half != half {
      low.deallocate()
      high.deallocate()
      self.half = half
      low = .allocate(capacity: half)
      high = .allocate(capacity: half)
      low.initialize(repeating: 0, count: half)
      high.initialize(repeating: 0, count: half)
    }
    high[half - 1] = 0
  }

  fileprivate func setLevel(_ level: Int8, at dimension: Int) {
    if dimension < half { low[dimension] = level } else { high[dimension - half] = level }
  }

  /// Estimates the distances to `count` coded rows.
  @inline(__always)
  func estimate(
    _ kernel: roost_code_kernel, _ rows: UnsafePointer<UnsafeRawPointer>, _ count: Int,
    into estimates: UnsafeMutablePointer<Float>
  ) {
    kernel(&parameters, rows, count, estimates)
  }
}
