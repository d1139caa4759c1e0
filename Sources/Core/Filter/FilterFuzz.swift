// Feeds arbitrary bytes to the filter's readers; the entry for `tools/run fuzz filter`.

/// One fuzz iteration: any input is read or refused with a `RoostError`, never a crash.
public enum FilterFuzz {
  /// The first byte picks the reader: filter text, encoded filter, or (two bytes of length, then a
  /// filter text and an encoded payload) the compiled filter.
  public static func run(_ input: UnsafeRawBufferPointer) {
    guard let choice = input.first else { return }
    let content = UnsafeRawBufferPointer(rebasing: input[1...])
    switch choice % 3 {
    case 0: checkText(String(decoding: content, as: UTF8.self))
    case 1: checkBytes(content)
    default:
      guard content.count >= 2 else { return }
      let length = min(Int(content[0]) | Int(content[1]) << 8, content.count - 2)
      let text = String(decoding: content[2..<2 + length], as: UTF8.self)
      guard let filter = try? Filter(text: text), let compiled = try? CompiledFilter(filter) else { return }
      let payload = UnsafeRawBufferPointer(rebasing: content[(2 + length)...])
      // The first bytes of the payload serve as an id of either kind, or as a broken one.
      guard !payload.isEmpty else { return }
      _ = try? compiled.matches(payload, id: UnsafeRawBufferPointer(rebasing: payload.prefix(9)))
    }
  }

  /// What could be read must be written and read again as the same.
  private static func checkText(_ text: String) {
    guard let filter = try? Filter(text: text) else { return }
    precondition((try? Filter(text: filter.text))?.text == filter.text, "filter text does not read back")
  }

  private static func checkBytes(_ bytes: UnsafeRawBufferPointer) {
    var reader = ByteReader(bytes)
    guard let filter = try? Filter(from: &reader), (try? filter.validate()) != nil else { return }
    var writer = ByteWriter()
    filter.encode(into: &writer)
    let again = try? writer.bytes.withReader { (reader) throws(RoostError) in try Filter(from: &reader) }
    precondition(again == filter, "filter bytes do not read back")
    // The text may exceed the limit where the bytes did not; within it, it must be readable.
    let text = filter.text
    if text.utf8.count <= Limits.filterTextBytesMax {
      precondition((try? Filter(text: text))?.text == text, "a valid filter has no readable text")
    }
    _ = try? CompiledFilter(filter)
  }
}
