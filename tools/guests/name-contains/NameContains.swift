// Passes records whose string in `field` contains `text`, without regard to the case of ASCII letters.
// Parameters: {"field": "name", "text": "photo"}; `field` is "name" when it is left out.

struct NameContains: Filter {
  private let field: Bytes
  private let text: Bytes

  init(parameters: Fields) throws(GuestError) {
    guard let text = parameters.string("text") else { throw GuestError("'text' must be a string") }
    self.text = text
    field = parameters.string("field") ?? Bytes("name")
  }

  // Descriptions can be long: ask the host for the one field alone.
  var fields: [Bytes] { [field] }

  func passes(_ candidate: Candidate) -> Bool {
    candidate.string(field)?.containsIgnoringCase(text) ?? false
  }
}

typealias ModuleFilter = NameContains
