// Several vectors a record: random puts of random subsets, deletes, flushes, merges and reopenings against a model,
// each field searched against brute force; the same on a disk that crashes.

import Core
import Storage
import Testing

@Suite struct VectorFieldTests {
  static let schema = CollectionSchema(fields: [
    VectorField(name: "title", dimension: 12, metric: .cosine, buildEffort: 40),
    VectorField(name: "image", dimension: 20, element: .i8, buildEffort: 40),
    VectorField(name: "print", dimension: 32, element: .binary, buildEffort: 40),
    VectorField(name: "tone", dimension: 5, element: .bf16, metric: .innerProduct, buildEffort: 40),
  ])
  static let options = StorageOptions(
    memtableRows: 48, memtableEntryBytes: 1 << 20, segmentsPerTier: 3, compactsAutomatically: true)

  @Test(arguments: 0..<3) func everyFieldAnswersAsBruteForce(_ round: Int) async throws {
    let seed = UInt64(round) + 700
    var random = SplitMix64(seed: seed)
    let folder = TemporaryFolder()
    let path = folder.path + "/c"
    var options = Self.options
    if round % 2 == 1 { options.memoryBytes = 0 }
    // A field without a name is the first one.
    var schema = Self.schema
    if round % 3 == 2 { schema.fields[0].name = "" }
    var collection = try await Collection.create(path, schema: schema, options: options, runtime: .system())
    var model = VectorFieldModel(schema: schema)
    for step in 0..<24 {
      switch random.below(12) {
      case 0: try await collection.flush()
      case 1: try await collection.compact()
      case 2:
        try await collection.close()
        collection = try await Collection.open(path, options: options, runtime: .system())
      case 3, 4:
        let ids = (0..<random.below(12)).map { _ in RecordID.number(UInt64(random.below(150))) }
        #expect(try await collection.delete(ids) == model.delete(ids), "seed \(seed) step \(step)")
      default:
        let records = (0...random.below(20)).map { _ in
          random.subset(.number(UInt64(random.below(150))), schema)
        }
        _ = try await collection.put(records)
        model.put(records)
      }
      if step % 4 == 3 {
        if let objection = try await model.objection(to: collection, &random) {
          Issue.record("seed \(seed) step \(step): \(objection)")
          return
        }
      }
    }
    try await collection.compact()
    if let objection = try await model.objection(to: collection, &random) {
      Issue.record("seed \(seed) at the end: \(objection)")
    }
    try await collection.backup(to: folder.path + "/b")
    try await collection.close()
    for place in [path, folder.path + "/b"] {
      #expect(try await Collection.verify(place, runtime: .system()).problems == [], "seed \(seed)")
    }
    let restored = try await Collection.open(folder.path + "/b", options: options, runtime: .system())
    if let objection = try await model.objection(to: restored, &random) {
      Issue.record("seed \(seed) from the backup: \(objection)")
    }
    try await restored.close()
  }

  /// A crash in the middle of anything: what was acknowledged is there, with all its vectors and no others.
  @Test func crashesLoseNoVectors() async throws {
    try await onOwnThread {
      for seed in UInt64(1)...2 {
        let whole = CrashWorld(seed: seed, disk: CrashWorld.freshDisk(seed: seed, faults: .none))
        _ = try Self.write(whole, seed: seed)
        for change in stride(from: Int(seed), to: whole.disk.changeCount, by: 23) {
          let survival: Survival = [.nothing, .everything, .seed(seed &+ UInt64(change))][change % 3]
          let world = CrashWorld(seed: seed, disk: CrashWorld.freshDisk(seed: seed, faults: .crashAt(change)))
          let (model, pending) = try Self.write(world, seed: seed)
          let after = CrashWorld(seed: seed, disk: world.disk.afterCrash(survival))
          if let objection = try Self.check(after, model, pending, seed: seed) {
            throw Finding(description: "seed \(seed), power loss at change \(change): \(objection)")
          }
        }
      }
    }
  }

  /// Puts, flushes and merges until the disk gives up; what was acknowledged, and the call that was not.
  private static func write(_ world: CrashWorld, seed: UInt64) throws -> (VectorFieldModel, [PutRecord]) {
    let result = try world.executor.run { () async throws -> (VectorFieldModel, [PutRecord]) in
      var random = SplitMix64(seed: seed)
      var model = VectorFieldModel(schema: schema)
      var pending: [PutRecord] = []
      do throws(RoostError) {
        let collection = try await Collection.create(
          CrashWorld.path, schema: schema, options: CrashWorld.options, runtime: world.runtime)
        for _ in 0..<20 {
          pending = (0...random.below(6)).map { _ in
            random.subset(.number(UInt64(random.below(40))), schema)
          }
          _ = try await collection.put(pending)
          model.put(pending)
          pending = []
          if random.below(6) == 0 { try await collection.flush() }
          if random.below(10) == 0 { try await collection.compact() }
        }
        try await collection.close()
      } catch {}
      return (model, pending)
    }
    world.executor.runUntilIdle()
    return result
  }

  private static func check(
    _ world: CrashWorld, _ model: VectorFieldModel, _ pending: [PutRecord], seed: UInt64
  ) throws -> String? {
    let objection = try world.executor.run { () async throws -> String? in
      var model = model
      var random = SplitMix64(seed: seed)
      guard try await Collection.exists(CrashWorld.path, files: world.disk) else {
        return model.records.isEmpty ? nil : "the collection is gone"
      }
      let collection = try await Collection.open(
        CrashWorld.path, options: CrashWorld.options, runtime: world.runtime)
      // The call in flight is there as a whole or not at all.
      if let last = pending.last, let found = try await collection.get([last.id])[0],
        model.differs(found.vectors, from: last.vectors) == nil
      {
        model.put(pending)
      }
      let objection = try await model.objection(to: collection, &random)
      try await collection.close()
      let report = try await Collection.verify(CrashWorld.path, runtime: world.runtime)
      return objection ?? report.problems.first.map { "verify: \($0)" }
    }
    world.executor.runUntilIdle()
    return objection
  }

  @Test func namesAndShapesAreChecked() async throws {
    let folder = TemporaryFolder()
    let collection = try await Collection.create(
      folder.path + "/c", schema: Self.schema, options: Self.options, runtime: .system())
    var random = SplitMix64(seed: 1)
    let title = random.vector(Self.schema.fields[0])
    let image = random.vector(Self.schema.fields[1])
    func place(_ vectors: RecordVectors) async -> String? {
      do throws(RoostError) {
        _ = try await collection.put([PutRecord(id: .number(1), vectors: vectors)])
        return nil
      } catch { return error.place }
    }
    #expect(await place(RecordVectors()) == "record 1, vector")
    #expect(await place(["nope": title]) == "record 1, vectors.nope")
    #expect(await place(["image": title]) == "record 1, vectors.image")
    #expect(await place(["": title, "title": title]) == "record 1, vectors.title")
    #expect(await place(["": title]) == nil)
    #expect(try await collection.get([.number(1)])[0]?.vectors.map(\.name) == ["title"])
    // An overwrite replaces the record as a whole.
    #expect(await place(["image": image]) == nil)
    #expect(try await collection.get([.number(1)])[0]?.vectors == ["image": image])
    #expect(try await collection.search(SearchQuery(target: .vector(title))).isEmpty)
    let hits = try await collection.search(
      SearchQuery(target: .vector(image), includeVector: true, using: "image"))
    #expect(hits.count == 1 && hits[0].vector == image && hits[0].distance == 0)
    for query in [
      SearchQuery(target: .vector(image)), SearchQuery(target: .vector(image), using: "nope"),
      SearchQuery(target: .record(.number(1)), using: "title"),
    ] {
      await #expect(throws: RoostError.self) { try await collection.search(query) }
    }
    try await collection.close()
    for fields in [
      [], [VectorField(name: "a", dimension: 2), VectorField(name: "a", dimension: 2)],
      [VectorField(name: "a", dimension: 2), VectorField(dimension: 2)],
      [VectorField(name: "a b", dimension: 2)],
      (0...Limits.vectorFieldsMax).map { VectorField(name: "f\($0)", dimension: 2) },
    ] {
      await #expect(throws: RoostError.self) {
        try await Collection.create(
          folder.path + "/bad", schema: CollectionSchema(fields: fields), runtime: .system())
      }
    }
  }
}

/// What a collection of several fields should hold.
struct VectorFieldModel: Sendable {
  let schema: CollectionSchema
  private(set) var records: [RecordID: PutRecord] = [:]

  init(schema: CollectionSchema) { self.schema = schema }

  mutating func put(_ new: [PutRecord]) {
    for record in new { records[record.id] = record }
  }

  mutating func delete(_ ids: [RecordID]) -> Int {
    ids.reduce(0) { records.removeValue(forKey: $1) == nil ? $0 : $0 + 1 }
  }

  /// Compares every record, and the nearest of random queries in every field.
  func objection(to collection: Collection, _ random: inout SplitMix64) async throws -> String? {
    let found = try await collection.scan(limit: 10_000)
    guard found.map(\.id) == records.keys.sorted() else { return "ids \(found.map(\.id.text))" }
    for record in found {
      if let difference = differs(record.vectors, from: records[record.id]?.vectors ?? [:]) {
        return "record \(record.id.text): \(difference)"
      }
    }
    for field in schema.fields {
      let members = records.values.filter { $0.vectors[field.name] != nil }
      for exact in [true, false] {
        let query = random.vector(field)
        let limit: Int64 = exact ? 1000 : 300
        let filter = Filter.field("size", .range(FilterRange(upper: .exclusive(.int(limit)))))
        let truth = members.filter { record in
          if case .int(let size)? = record.payload["size"] { size < limit } else { false }
        }.map { referenceDistance($0.vectors[field.name] ?? query, query, field.metric) }.sorted().prefix(10)
        let hits = try await collection.search(
          SearchQuery(
            target: .vector(query), k: 10, effort: 400, exact: exact, filter: filter,
            includeVector: true, using: field.name))
        guard hits.count == truth.count else {
          return "\(field.name): \(hits.count) hits of \(truth.count), exact \(exact)"
        }
        for (hit, best) in zip(hits, truth) {
          guard let vector = hit.vector, let own = records[hit.id]?.vectors[field.name] else {
            return "\(field.name): hit \(hit.id.text) has no such vector"
          }
          let distance = referenceDistance(own, query, field.metric)
          let tolerance = max(1e-4, abs(best) * 1e-4)
          guard abs(Double(hit.distance) - distance) <= tolerance, abs(distance - best) <= tolerance else {
            return "\(field.name): hit \(hit.id.text) at \(hit.distance), it is at \(distance), best \(best)"
          }
          if field.metric != .cosine && vector != own { return "\(field.name): hit \(hit.id.text) vector" }
        }
      }
      // Near a record, which is not among the hits.
      guard let member = members.randomElement(using: &random) else { continue }
      let near = try await collection.search(
        SearchQuery(target: .record(member.id), k: 3, exact: true, using: field.name))
      if near.contains(where: { $0.id == member.id }) || near.count != min(3, members.count - 1) {
        return "\(field.name): near \(member.id.text) are \(near.map(\.id.text))"
      }
    }
    return nil
  }

  /// Cosine keeps directions only.
  func differs(_ stored: RecordVectors, from given: RecordVectors) -> String? {
    guard stored.map(\.name) == given.map(\.name) else { return "vectors \(stored.map(\.name))" }
    for (a, b) in zip(stored, given) {
      let metric = schema.fields.first { $0.name == a.name }?.metric
      let isSame = metric == .cosine ? referenceDistance(a.vector, b.vector, .cosine) < 1e-6 : a == b
      if !isSame { return "vector \(a.name)" }
    }
    return nil
  }
}

extension SplitMix64 {
  /// A record with vectors of some of the fields, at least one.
  mutating func subset(_ id: RecordID, _ schema: CollectionSchema) -> PutRecord {
    var vectors = RecordVectors()
    for field in schema.fields where below(10) < 6 { vectors[field.name] = vector(field) }
    if vectors.isEmpty {
      let field = schema.fields[below(schema.fields.count)]
      vectors[field.name] = vector(field)
    }
    return PutRecord(id: id, vectors: vectors, payload: Payload(["size": .int(Int64(below(1000)))]))
  }
}
