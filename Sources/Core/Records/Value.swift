// Payload attributes: what a record carries beside its vector.

/// One attribute value.
public enum Value: Sendable, Equatable {
  case null
  case bool(Bool)
  case int(Int64)
  case double(Double)
  case string(String)
  case bytes([UInt8])
  /// Degrees, WGS 84: latitude in [-90, 90], longitude in [-180, 180].
  case geo(latitude: Double, longitude: Double)
  /// Microseconds since 1970-01-01T00:00:00Z.
  case datetime(Int64)
  case array([Value])
  case map([String: Value])
}

/// The attributes of a record by name.
public struct Payload: Sendable, Equatable {
  public var fields: [String: Value]

  public init(_ fields: [String: Value] = [:]) { self.fields = fields }

  public subscript(name: String) -> Value? {
    get { fields[name] }
    set { fields[name] = newValue }
  }
}
