// What a call of user code is about, besides its items: the time, and the collection's vector fields.

import Core

/// The circumstances of one query or one write, the same for all guest instances that serve it.
public struct GuestContext: Sendable {
  /// The one reading of the clock, microseconds since 1970-01-01T00:00:00Z.
  public var nowMicros: Int64
  /// The vector fields of the collection; empty when there is no collection.
  public var fields: [VectorField]
  /// Which of them is searched.
  public var searched: Int

  public init(nowMicros: Int64 = 0, fields: [VectorField] = [], searched: Int = 0) {
    self.nowMicros = nowMicros
    self.fields = fields
    self.searched = searched
  }

  /// The field that `roost_vector` speaks of: `*` is the one that is searched. Throws `.invalidArgument`.
  func field(declared name: String, by code: ModuleCode) throws(RoostError) -> Int {
    if name == GuestABI.searchedVector, fields.indices.contains(searched) { return searched }
    if let index = fields.firstIndex(where: { $0.name == name }) { return index }
    let names = fields.map(\.name).filter { !$0.isEmpty }.joined(separator: ", ")
    throw RoostError(
      .invalidArgument, "module '\(code.name)' asks for the vector '\(name.prefix(80))', which is not there",
      at: "module \(code.name)",
      remedy: names.isEmpty ? "the collection names no vectors" : "the vectors are: \(names)")
  }
}
