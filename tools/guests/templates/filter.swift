// Passes records whose number in "price" is at most `max`. Parameters: {"max": 100}.

struct Example: Filter {
  private let max: Double

  init(parameters: Fields) throws(GuestError) {
    guard let max = parameters.number("max") else { throw GuestError("'max' must be a number") }
    self.max = max
  }

  func passes(_ candidate: Candidate) -> Bool {
    guard let price = candidate.number("price") else { return false }
    return price <= max
  }
}

typealias ModuleFilter = Example
