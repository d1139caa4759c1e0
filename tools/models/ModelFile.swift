// Writes model files (`spec/wasm-tensor.md`, "Model files"): named arrays, each at a multiple of 64 bytes.

import CKernels
import Core
import Foundation

struct ModelFile {
  /// What an array holds. Packed weights have the numbers of `roost_weights`.
  enum Kind: UInt32 {
    case packedF32 = 1
    case packedBF16 = 2
    case packedI8 = 3
    case f32 = 4
    case byteTable = 5
    case u32 = 6
    case u16 = 7
    case bytes = 8
  }

  private static let magic: UInt32 = 0x534e_5452
  private static let headerBytes = 16
  private static let nameBytesMax = 39
  private static let entryBytes = 64

  private var entries: [(name: String, kind: Kind, rows: Int, columns: Int, bytes: [UInt8])] = []

  mutating func add(_ name: String, _ kind: Kind, rows: Int, columns: Int, _ bytes: [UInt8]) {
    precondition(name.utf8.count <= Self.nameBytesMax && !entries.contains { $0.name == name })
    entries.append((name, kind, rows, columns, bytes))
  }

  mutating func add<T: BitwiseCopyable>(_ name: String, _ kind: Kind, rows: Int = 1, _ values: [T]) {
    add(name, kind, rows: rows, columns: values.count / rows, values.withUnsafeBytes { Array($0) })
  }

  /// A linear layer: `matrix` has a row of `inputs` weights for each output.
  mutating func addLinear(_ name: String, _ weights: Kind, inputs: Int, outputs: Int, _ matrix: [Float]) {
    precondition(matrix.count == inputs * outputs)
    let kind = Int32(weights.rawValue)
    var packed = [UInt8](repeating: 0, count: roost_packed_bytes(kind, inputs, outputs))
    packed.withUnsafeMutableBytes { to in
      guard let base = to.baseAddress else { return }
      matrix.withUnsafeBufferPointer { from in
        guard let matrix = from.baseAddress else { return }
        roost_pack(kind, matrix, inputs, outputs, 1, inputs, base)
      }
    }
    add(name, weights, rows: inputs, columns: outputs, packed)
  }

  /// Rows rounded to 8 bits, each with a scale.
  mutating func addByteTable(_ name: String, rows: Int, width: Int, _ values: [Float]) {
    let rowBytes = 4 + (width + 3) / 4 * 4
    var bytes = [UInt8](repeating: 0, count: rows * rowBytes)
    for row in 0..<rows {
      let part = values[row * width..<(row + 1) * width]
      let scale = part.reduce(0) { max($0, abs($1)) } / 127
      withUnsafeBytes(of: scale.bitPattern.littleEndian) { raw in
        bytes.replaceSubrange(row * rowBytes..<row * rowBytes + 4, with: raw)
      }
      guard scale > 0 else { continue }
      for (column, value) in part.enumerated() {
        bytes[row * rowBytes + 4 + column] = UInt8(bitPattern: Int8((value / scale).rounded()))
      }
    }
    add(name, .byteTable, rows: rows, columns: width, bytes)
  }

  func write(to path: String) throws(RoostError) {
    func aligned(_ size: Int) -> Int { (size + 63) / 64 * 64 }
    var head = ByteWriter()
    head.u32(Self.magic)
    head.u32(1)
    head.u32(UInt32(entries.count))
    head.u32(0)
    var offset = aligned(Self.headerBytes + entries.count * Self.entryBytes)
    for entry in entries {
      var name = Array(entry.name.utf8)
      name += Array(repeating: 0, count: Self.nameBytesMax + 1 - name.count)
      for byte in name { head.u8(byte) }
      for number in [Int(entry.kind.rawValue), entry.rows, entry.columns, offset, entry.bytes.count, 0] {
        head.u32(UInt32(number))
      }
      offset = aligned(offset + entry.bytes.count)
    }
    var data = Data(head.bytes)
    for entry in entries {
      data.append(Data(count: aligned(data.count) - data.count))
      data.append(contentsOf: entry.bytes)
    }
    do { try data.write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
      throw RoostError(.io, "cannot be written: \(error.localizedDescription)", at: path)
    }
  }
}
