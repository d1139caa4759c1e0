// Where the rows of a vector file are, worked out from its first bytes and its size alone. The header
// comes from a stranger: each number is checked against the file before anything is read or allocated.

/// The shape of a vector file: `count` rows of `dimension`, `strideBytes` apart from `dataOffset` on.
public struct VectorFileLayout: Sendable, Equatable {
  /// Elements as they lie in the file.
  public enum Stored: Sendable, Equatable {
    case f32, f64, u8, i8, f16, bf16
    /// Eight elements of type binary.
    case bits

    public var byteCount: Int {
      switch self {
      case .f32: 4
      case .f64: 8
      case .f16, .bf16: 2
      case .u8, .i8, .bits: 1
      }
    }

    /// Elements of a vector in one of the file.
    var elementsInOne: Int { self == .bits ? 8 : 1 }
  }

  public let stored: Stored
  public let count: Int
  public let dimension: Int
  public let dataOffset: UInt64
  /// Bytes before the elements of each row: 4 for the dimension in fvecs and bvecs, else 0.
  public let rowHeaderBytes: Int

  /// Enough of the file's beginning for `init`; less only when the file is shorter.
  public static let headBytesMax = NumpyHeader.bytesMax

  /// The element that rows have once they are read; f64 becomes f32.
  public var element: VectorElement {
    switch stored {
    case .f32, .f64: .f32
    case .u8: .u8
    case .i8: .i8
    case .f16: .f16
    case .bf16: .bf16
    case .bits: .binary
    }
  }

  public var strideBytes: Int { rowHeaderBytes + dimension / stored.elementsInOne * stored.byteCount }

  /// Throws `.invalidArgument` (`.limitExceeded` for a dimension beyond the limit) and names file and offset.
  /// - Parameters:
  ///   - head: the first `min(headBytesMax, size)` bytes.
  ///   - size: the size of the file in bytes.
  public init(
    _ format: VectorFileFormat, head: UnsafeRawBufferPointer, size: UInt64, path: String
  ) throws(RoostError) {
    switch format {
    case .fbin: try self.init(bin: .f32, head: head, size: size, path: path)
    case .u8bin: try self.init(bin: .u8, head: head, size: size, path: path)
    case .i8bin: try self.init(bin: .i8, head: head, size: size, path: path)
    case .f16bin, .hbin: try self.init(bin: .f16, head: head, size: size, path: path)
    case .bf16bin: try self.init(bin: .bf16, head: head, size: size, path: path)
    case .bbin: try self.init(bin: .bits, head: head, size: size, path: path)
    case .fvecs: try self.init(vecs: .f32, head: head, size: size, path: path)
    case .bvecs: try self.init(vecs: .u8, head: head, size: size, path: path)
    case .npy:
      let header = try NumpyHeader(head: head, path: path)
      try self.init(
        stored: header.stored, rows: header.rows, dimension: header.columns, dataOffset: header.byteCount,
        dimensionOffset: 8, size: size, path: path)
    }
  }

  private init(bin stored: Stored, head: UnsafeRawBufferPointer, size: UInt64, path: String)
    throws(RoostError)
  {
    guard head.count >= 8 else { throw VectorFileLayout.tooShort(size, needed: 8, path) }
    var reader = ByteReader(head)
    let rows = UInt64(try reader.u32())
    let dimension = UInt64(try reader.u32())
    try self.init(
      stored: stored, rows: rows, dimension: dimension, dataOffset: 8, dimensionOffset: 4, size: size,
      path: path)
  }

  private init(vecs stored: Stored, head: UnsafeRawBufferPointer, size: UInt64, path: String)
    throws(RoostError)
  {
    guard head.count >= 4 else { throw VectorFileLayout.tooShort(size, needed: 4, path) }
    var reader = ByteReader(head)
    let dimension = Int64(try reader.integer(Int32.self))
    try VectorFileLayout.check(dimension: dimension, path, offset: 0)
    let stride = UInt64(4 + Int(dimension) * stored.byteCount)
    let (rows, rest) = size.quotientAndRemainder(dividingBy: stride)
    guard rest == 0, rows <= UInt64(Int32.max) else {
      throw VectorFileLayout.refuse(
        "the last row is cut off: \(rest) bytes, a row of dimension \(dimension) has \(stride)", path,
        offset: rows * stride)
    }
    self.stored = stored
    self.count = Int(rows)
    self.dimension = Int(dimension)
    self.dataOffset = 0
    self.rowHeaderBytes = 4
  }

  /// A matrix without row headers, which must fill the file exactly.
  private init(
    stored: Stored, rows: UInt64, dimension: UInt64, dataOffset: Int, dimensionOffset: UInt64, size: UInt64,
    path: String
  ) throws(RoostError) {
    let (elements, isTooLong) = dimension.multipliedReportingOverflow(by: UInt64(stored.elementsInOne))
    try VectorFileLayout.check(
      dimension: isTooLong ? .max : Int64(clamping: elements), path, offset: dimensionOffset)
    let stride = dimension * UInt64(stored.byteCount)
    let (bytes, isTooMuch) = rows.multipliedReportingOverflow(by: stride)
    let (end, isBeyond) = bytes.addingReportingOverflow(UInt64(dataOffset))
    guard !isTooMuch, !isBeyond else {
      throw VectorFileLayout.refuse(
        "\(rows) rows of dimension \(dimension) need more than 2^64 bytes, the file has \(size)", path,
        offset: size)
    }
    guard end == size else {
      let state = end > size ? "it is cut off" : "bytes are left over"
      throw VectorFileLayout.refuse(
        "\(rows) rows of dimension \(dimension) need \(end) bytes, the file has \(size): \(state)", path,
        offset: min(end, size))
    }
    self.stored = stored
    self.count = Int(rows)  // fits: rows × stride = bytes in a file
    self.dimension = Int(elements)
    self.dataOffset = UInt64(dataOffset)
    self.rowHeaderBytes = 0
  }

  private static func check(dimension: Int64, _ path: String, offset: UInt64) throws(RoostError) {
    guard dimension > 0 else { throw refuse("the dimension is \(dimension)", path, offset: offset) }
    guard dimension <= Limits.dimensionMax else {
      throw RoostError(
        .limitExceeded, "the dimension is \(dimension), the limit is \(Limits.dimensionMax)",
        at: "\(path) offset \(offset)", remedy: remedy)
    }
  }

  private static let remedy = "check that the file is complete and of the format that its extension says"

  static func refuse(_ message: String, _ path: String, offset: UInt64) -> RoostError {
    RoostError(.invalidArgument, message, at: "\(path) offset \(offset)", remedy: remedy)
  }

  private static func tooShort(_ size: UInt64, needed: Int, _ path: String) -> RoostError {
    refuse("the file has \(size) bytes, its header alone needs \(needed)", path, offset: 0)
  }

  /// Copies whole rows as they lie in the file into the form that `VectorRows` holds.
  /// - Parameters:
  ///   - raw: `[rows × strideBytes]`, starting with row `firstRow`.
  ///   - target: `[rows × dimension]` of `element`.
  func unpack(
    _ raw: UnsafeRawBufferPointer, firstRow: Int, into target: UnsafeMutableRawBufferPointer, path: String
  ) throws(RoostError) {
    let rows = raw.count / strideBytes
    let rowBytes = element.byteCount(dimension: dimension)
    precondition(raw.count == rows * strideBytes && target.count == rows * rowBytes)
    if rowHeaderBytes == 0 && stored != .f64 {
      target.copyMemory(from: raw)
      return
    }
    for row in 0..<rows {
      let source = row * strideBytes
      if rowHeaderBytes > 0 {
        let found = Int32(littleEndian: raw.loadUnaligned(fromByteOffset: source, as: Int32.self))
        guard found == Int32(dimension) else {
          throw VectorFileLayout.refuse(
            "row \(firstRow + row) has dimension \(found), the rows before it have \(dimension)", path,
            offset: dataOffset + UInt64(firstRow + row) * UInt64(strideBytes))
        }
      }
      let elements = UnsafeRawBufferPointer(rebasing: raw[source + rowHeaderBytes..<source + strideBytes])
      let place = UnsafeMutableRawBufferPointer(rebasing: target[row * rowBytes..<(row + 1) * rowBytes])
      if stored == .f64 {
        for index in 0..<dimension {
          let bits = UInt64(littleEndian: elements.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
          let narrow = Float(Double(bitPattern: bits))
          place.storeBytes(of: narrow.bitPattern.littleEndian, toByteOffset: index * 4, as: UInt32.self)
        }
      } else {
        place.copyMemory(from: elements)
      }
    }
  }
}
