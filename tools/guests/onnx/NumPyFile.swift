// A tensor in a .npy file (NumPy's format, version 1 to 3), so that a model can be tried with any input.

struct NumPyFile {
  let shape: [Int]
  let type: ElementType
  private let content: Bytes

  static func isOne(_ bytes: Bytes) -> Bool {
    bytes.count >= 10 && bytes[0] == 0x93 && Bytes(start: bytes.start + 1, count: 5).equals("NUMPY")
  }

  init(_ bytes: Bytes) throws(GuestError) {
    func damaged() -> GuestError { GuestError("the .npy file is damaged or of a kind that is not supported") }
    let isOld = bytes[6] == 1
    guard isOld || bytes.count >= 12 else { throw damaged() }
    var length = Int(bytes[8]) | Int(bytes[9]) << 8
    if !isOld { length |= Int(bytes[10]) << 16 | Int(bytes[11] & 0x7f) << 24 }
    let start = isOld ? 10 : 12
    guard length <= bytes.count - start else { throw damaged() }
    let header = Bytes(start: bytes.start + start, count: length)
    func after(_ key: StaticString) -> Int? {
      let key = Bytes(key)
      guard header.count > key.count else { return nil }
      for index in 0..<header.count - key.count
      where Bytes(start: header.start + index, count: key.count).equals(key) { return index + key.count }
      return nil
    }
    func begins(_ at: Int, _ text: StaticString) -> Bool {
      let text = Bytes(text)
      return at + text.count <= header.count
        && Bytes(start: header.start + at, count: text.count).equals(text)
    }
    guard let descriptor = after("'descr': '"), let order = after("'fortran_order': "),
      begins(order, "False"),
      var at = after("'shape': (")
    else { throw damaged() }
    if begins(descriptor, "<f4") {
      type = .float
    } else if begins(descriptor, "<i8") {
      type = .int64
    } else if begins(descriptor, "<i4") {
      type = .int32
    } else {
      throw damaged()
    }
    var (sizes, count): ([Int], Int) = ([], 1)
    while at < header.count, header[at] != 0x29 {
      guard header[at] &- 0x30 < 10 else {
        at += 1
        continue
      }
      var size = 0
      while at < header.count, header[at] &- 0x30 < 10 {
        size = size * 10 + Int(header[at] - 0x30)
        at += 1
        guard size <= OnnxFile.elementsMax else { throw damaged() }
      }
      guard size == 0 || count <= OnnxFile.elementsMax / size, sizes.count < OnnxFile.ranksMax else {
        throw damaged()
      }
      sizes.append(size)
      count *= size
    }
    shape = sizes
    content = Bytes(start: header.start + length, count: bytes.count - start - length)
    guard content.count == count * type.byteCount else { throw damaged() }
  }

  var constant: Constant { Constant(type: type, shape: shape, start: content.start) }
}
