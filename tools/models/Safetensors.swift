// Reads safetensors files: a length, a JSON header that names the tensors, and their bytes.

import Core
import Foundation

struct Safetensors {
  struct Tensor {
    var shape: [Int]
    var values: [Float]
  }

  private let path: String
  private let bytes: Data
  private let header: JSON
  private let start: Int

  init(_ path: String) throws(RoostError) {
    self.path = path
    guard let bytes = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) else {
      throw RoostError(.notFound, "the file cannot be read", at: path)
    }
    self.bytes = bytes
    guard bytes.count >= 8 else { throw .corrupted("no header", file: path, offset: 0) }
    let length = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    guard length <= UInt64(bytes.count - 8) else {
      throw .corrupted("a header of \(length) bytes", file: path, offset: 0)
    }
    start = 8 + Int(length)
    header = try JSON(parsing: [UInt8](bytes[8..<start]))
  }

  /// A tensor of f32 by its name.
  func tensor(_ name: String) throws(RoostError) -> Tensor {
    guard let entry = header[name], case .string("F32")? = entry["dtype"],
      case .array(let sizes)? = entry["shape"], case .array(let range)? = entry["data_offsets"],
      range.count == 2
    else { throw .corrupted("there is no f32 tensor '\(name)'", file: path, offset: 8) }
    func number(_ json: JSON) throws(RoostError) -> Int {
      guard case .number(let digits) = json, let value = Int(digits), (0...Int(Int32.max)).contains(value)
      else {
        throw .corrupted("a number of '\(name)' is not understood", file: path, offset: 8)
      }
      return value
    }
    var shape: [Int] = []
    for size in sizes { shape.append(try number(size)) }
    let (from, to) = (try number(range[0]), try number(range[1]))
    guard from <= to, to <= bytes.count - start, shape.reduce(1, *) * 4 == to - from else {
      throw .corrupted(
        "the bytes of '\(name)' are not where the header says", file: path, offset: UInt64(from))
    }
    let values = bytes.withUnsafeBytes { raw in
      (0..<(to - from) / 4).map { raw.loadUnaligned(fromByteOffset: start + from + $0 * 4, as: Float.self) }
    }
    return Tensor(shape: shape, values: values)
  }

  func tensor(_ name: String, shape: [Int]) throws(RoostError) -> [Float] {
    let tensor = try tensor(name)
    guard tensor.shape == shape else {
      throw RoostError(.invalidArgument, "'\(name)' has shape \(tensor.shape), not \(shape)", at: path)
    }
    return tensor.values
  }
}
