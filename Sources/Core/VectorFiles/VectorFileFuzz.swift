// Feeds arbitrary bytes to every reader of this folder; the entry for `tools/run fuzz vectorfile`.

/// One fuzz iteration: any input is read or refused with a `RoostError`, never a crash.
public enum VectorFileFuzz {
  /// The first byte picks the format; the rest is the file.
  public static func run(_ input: UnsafeRawBufferPointer) {
    guard let choice = input.first else { return }
    let content = UnsafeRawBufferPointer(rebasing: input[1...])
    let formats = VectorFileFormat.allCases
    switch Int(choice) % (formats.count + 2) {
    case formats.count: _ = try? GroundTruth(ibin: content, path: "fuzz")
    case formats.count + 1: _ = try? GroundTruth(ivecs: content, path: "fuzz")
    case let index:
      let head = UnsafeRawBufferPointer(rebasing: content.prefix(VectorFileLayout.headBytesMax))
      let layout = try? VectorFileLayout(
        formats[index], head: head, size: UInt64(content.count), path: "fuzz")
      guard let layout else { return }
      let rows = UnsafeRawBufferPointer(rebasing: content[Int(layout.dataOffset)...])
      precondition(rows.count == layout.count * layout.strideBytes, "the layout does not cover the file")
      let target = IOBuffer(count: layout.count * layout.element.byteCount(dimension: layout.dimension))
      try? layout.unpack(rows, firstRow: 0, into: target.mutableBytes, path: "fuzz")
    }
  }
}
