// Passes records whose number in `field` is at most `max`. Parameters: {"field": "size", "max": 1000}.

struct SizeBelow: Filter {
  private let field: Bytes
  private let max: Double

  init(parameters: Fields) throws(GuestError) {
    guard let field = parameters.string("field") else {
      throw GuestError("'field' must be a string, the name of a field")
    }
    guard let max = parameters.number("max") else { throw GuestError("'max' must be a number") }
    self.field = field
    self.max = max
  }

  func passes(_ candidate: Candidate) -> Bool {
    guard let number = candidate.number(field) else { return false }
    return number <= max
  }
}

typealias ModuleFilter = SizeBelow
