// Sets "class" to "cheap" or "dear" by the number in "price", and refuses records without one.
// Parameters: {"limit": 100}.

struct Example: Transform {
  private let limit: Double

  init(parameters: Fields) throws(GuestError) {
    guard let limit = parameters.number("limit") else { throw GuestError("'limit' must be a number") }
    self.limit = limit
  }

  func transform(_ record: Fields, _ changes: inout Changes) throws(GuestError) {
    guard let price = record.number("price") else { throw GuestError("'price' must be a number") }
    changes.set("class", .string(Bytes(price <= limit ? "cheap" : "dear")))
  }
}

typealias ModuleTransform = Example
