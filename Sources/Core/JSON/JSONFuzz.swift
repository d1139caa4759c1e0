// Feeds arbitrary bytes to the JSON reader; the entry for `tools/run fuzz json`.

/// One fuzz iteration: any input is read or refused with a `RoostError`, never a crash.
public enum JSONFuzz {
  /// What could be read must be written and read again as the same, as JSON and as a record.
  public static func run(_ input: UnsafeRawBufferPointer) {
    guard let json = try? JSON(parsing: Array(input)) else { return }
    precondition((try? JSON(parsing: json.text)) == json, "JSON does not read back")
    let schema = CollectionSchema(fields: [
      VectorField(dimension: 1), VectorField(name: "a", dimension: 8, element: .binary),
      VectorField(name: "b", dimension: 1, element: .bf16),
    ])
    guard let record = try? PutRecord(json: json, schema: schema, fallbackID: .number(0)) else { return }
    guard (try? record.payload.validate()) != nil else { return }
    let again = try? PutRecord(json: record.json, schema: schema)
    let isSame = again?.payload.encoded == record.payload.encoded && again?.vectors == record.vectors
    precondition(isSame && again?.id == record.id, "a record does not read back from its JSON")
  }
}
