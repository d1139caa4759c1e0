// Errors on the wire: the stable code of the kind and the three texts.

import Core

extension RoostError {
  package static let textBytesMax = 4_096

  package func encode(into body: inout BodyWriter) {
    body.bytes.u16(kind.rawValue)
    for text in [message, place, remedy] { body.bytes.string(RoostError.clipped(text)) }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    let code = try body.fixed.u16()
    var message = try body.fixed.string("error message", atMost: RoostError.textBytesMax)
    let place = try body.fixed.string("error place", atMost: RoostError.textBytesMax)
    let remedy = try body.fixed.string("error remedy", atMost: RoostError.textBytesMax)
    // A newer peer may know kinds that this side does not; its words are still worth showing.
    let kind = Kind(rawValue: code)
    if kind == nil { message = "(error code \(code)) \(message)" }
    self.init(kind ?? .internalFailure, message, at: place, remedy: remedy)
  }

  /// Texts can quote what the user sent, so they may be long.
  static func clipped(_ text: String) -> String {
    guard text.utf8.count > textBytesMax else { return text }
    var clipped = ""
    var count = 0
    for character in text.unicodeScalars {
      let width = UTF8.width(character)
      if count + width > textBytesMax { break }
      clipped.unicodeScalars.append(character)
      count += width
    }
    return clipped
  }
}
