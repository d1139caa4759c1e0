// Writes a message body: a fixed part, a trailer of tagged optional fields, then the vectors, each row
// on a 64-byte boundary of the body so that a receiver can use it in place (`spec/wire.md`, "Body").

import Core

package struct BodyWriter {
  /// The fixed part goes here. It holds the whole output so far; the body begins at `start`.
  package var bytes: ByteWriter
  package var trailer = Trailer()
  private let start: Int
  private var rows: [Vector] = []

  package static let rowAlignment = 64

  /// Takes the bytes of `writer` and continues them; `finish` gives them back.
  package init(taking writer: inout ByteWriter) {
    var taken = ByteWriter()
    swap(&taken, &writer)
    start = taken.count
    taken.u32(0)
    bytes = taken
  }

  /// Writes a vector's shape here and its elements at the end of the body.
  package mutating func vector(_ vector: Vector) {
    bytes.u8(vector.element.rawValue)
    bytes.count(vector.dimension)
    rows.append(vector)
  }

  package mutating func optionalString(_ text: String?) {
    bytes.u8(text == nil ? 0 : 1)
    if let text { bytes.string(text) }
  }

  /// Ends the body and gives the bytes back. Not `consuming`: that made a copy of the whole output so far,
  /// of all replies that wait to be sent.
  package mutating func finish(into writer: inout ByteWriter) {
    trailer.encode(into: &bytes)
    if !rows.isEmpty {
      align()
      bytes.patch(UInt32(bytes.count - start), at: start)
      for (index, row) in rows.enumerated() {
        if index > 0 { align() }
        bytes.raw(row.bytes)
      }
    }
    swap(&bytes, &writer)
  }

  private mutating func align() {
    let rest = (bytes.count - start) & (BodyWriter.rowAlignment - 1)
    if rest != 0 { bytes.zeros(BodyWriter.rowAlignment - rest) }
  }
}
