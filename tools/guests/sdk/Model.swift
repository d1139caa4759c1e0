// Roost guest SDK: the model that `roost module build --model` has linked into the module (spec/wasm-tensor.md,
// "Model files"): named arrays, each at a multiple of 64 bytes.

/// One array of a model.
public struct ModelArray {
  public let kind: UInt32
  public let rows: Int
  public let columns: Int
  public let start: UnsafeRawPointer
  public let byteCount: Int

  public var floats: UnsafePointer<Float> { start.assumingMemoryBound(to: Float.self) }
}

public struct Model {
  private static let magic: UInt32 = 0x534e_5452
  private static let headerBytes = 16
  private static let nameBytes = 40
  private static let entryBytes = 64

  private let start: UnsafeRawPointer
  private let count: Int

  /// The linked model; nil when there is none of this format.
  public init?() {
    start = UnsafeRawPointer(modelStart())
    let size = Int(modelSize())
    guard size >= Self.headerBytes, start.load(as: UInt32.self) == Self.magic,
      start.load(fromByteOffset: 4, as: UInt32.self) == 1
    else { return nil }
    count = Int(start.load(fromByteOffset: 8, as: UInt32.self))
    guard Self.headerBytes + count * Self.entryBytes <= size else { return nil }
    for index in 0..<count {
      let entry = entry(index)
      let offset = Int(entry.load(fromByteOffset: Self.nameBytes + 12, as: UInt32.self))
      let bytes = Int(entry.load(fromByteOffset: Self.nameBytes + 16, as: UInt32.self))
      guard offset <= size, bytes <= size - offset else { return nil }
    }
  }

  private func entry(_ index: Int) -> UnsafeRawPointer { start + Self.headerBytes + index * Self.entryBytes }

  /// An array by its name; `layer` replaces a '#' in it.
  public func array(_ name: StaticString, layer: Int = 0) -> ModelArray? {
    for index in 0..<count {
      let entry = entry(index)
      guard matches(entry, name, layer) else { continue }
      return ModelArray(
        kind: entry.load(fromByteOffset: Self.nameBytes, as: UInt32.self),
        rows: Int(entry.load(fromByteOffset: Self.nameBytes + 4, as: UInt32.self)),
        columns: Int(entry.load(fromByteOffset: Self.nameBytes + 8, as: UInt32.self)),
        start: start + Int(entry.load(fromByteOffset: Self.nameBytes + 12, as: UInt32.self)),
        byteCount: Int(entry.load(fromByteOffset: Self.nameBytes + 16, as: UInt32.self)))
    }
    return nil
  }

  private func matches(_ entry: UnsafeRawPointer, _ name: StaticString, _ layer: Int) -> Bool {
    let length = name.utf8CodeUnitCount
    for index in 0..<Self.nameBytes {
      var expected: UInt8 = index < length ? name.utf8Start[index] : 0
      if expected == 0x23 { expected = 0x30 + UInt8(layer) }
      if entry.load(fromByteOffset: index, as: UInt8.self) != expected { return false }
    }
    return true
  }
}

@_extern(c, "roost_model_start")
func modelStart() -> UnsafePointer<UInt8>

@_extern(c, "roost_model_size")
func modelSize() -> UInt32
