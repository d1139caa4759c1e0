// Roost inside a program, without a server: the engine writes to a folder of your choice.

import Core
import Storage

let path = CommandLine.arguments.dropFirst().first ?? "roost-example"
let runtime = try Runtime.system()

// Open the collection, or create it the first time.
let collection: Collection
if try await Collection.exists(path, files: runtime.files) {
  collection = try await Collection.open(path, runtime: runtime)
} else {
  let schema = CollectionSchema(dimension: 3, metric: .cosine)
  collection = try await Collection.create(path, schema: schema, runtime: runtime)
}

// On disk once `put` has returned; a record with the same id is replaced.
_ = try await collection.put([
  PutRecord(
    id: .key("cherry"), vector: Vector([1.0, 0.1, 0.2] as [Float]),
    payload: Payload(["color": .string("red"), "grams": .int(8)])),
  PutRecord(
    id: .key("apple"), vector: Vector([0.9, 0.3, 0.1] as [Float]),
    payload: Payload(["color": .string("red"), "grams": .int(180)])),
  PutRecord(
    id: .key("lime"), vector: Vector([0.1, 1.0, 0.2] as [Float]),
    payload: Payload(["color": .string("green"), "grams": .int(60)])),
])

// The nearest red things that weigh at least 10 grams.
let query = SearchQuery(
  target: .vector(Vector([1.0, 0.2, 0.1] as [Float])), k: 2,
  filter: try Filter(text: #"color = "red" and grams >= 10"#))
for hit in try await collection.search(query) {
  print(hit.id.text, hit.distance, hit.payload?["grams"] ?? .null)
}

// Snapshots, scans in id order and backups work on an open collection, too.
print(try await collection.count(), "records")
try await collection.close()
