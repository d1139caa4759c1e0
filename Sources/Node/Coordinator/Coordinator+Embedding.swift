// What happens to records before they are stored, on the worker threads: the collection's transforms derive
// attributes, its embedder makes vectors of texts and bytes.

import Core
import Storage
import Synchronization
import Wasm
import Wire

extension Coordinator {
  /// Texts that one worker embeds at a time.
  private static let textsPerPiece = 64

  func put(_ request: PutRequest, _ context: RequestContext) async throws(RoostError) -> Response {
    let bytes = request.records.reduce(0) {
      $0 + ($1.vectors.isEmpty ? 1_024 : $1.vectors.byteCount) + ($1.source?.byteCount ?? 0) + 256
    }
    try writes.enter(bytes)
    defer { writes.leave(bytes) }
    return try await collections.writing(request.collection) { (hosted) throws(RoostError) in
      var records = request.records
      try await transform(&records, hosted.collection.schema)
      // As they are to be stored, so that the next generation gets the same.
      let stored = records
      try await embed(&records, hosted, deadlineNanos: context.deadlineNanos)
      let versions = try await hosted.collection.put(records)
      await mirror(stored, versions, hosted)
      return .put(versions)
    }
  }

  /// Runs the collection's transforms, each on all records.
  private func transform(_ records: inout [PutRecord], _ schema: CollectionSchema) async throws(RoostError) {
    if schema.transforms.isEmpty || records.isEmpty { return }
    let names = records.map { "record \($0.id.text)" }
    var payloads = records.map(\.payload)
    let now = runtime.clock.wallMicros()
    let use = ModuleUse()
    defer { withExtendedLifetime(use) {} }
    for transform in schema.transforms {
      let (_, module) = try await modules.use(
        ModuleSelector(name: transform.module, choice: .current), by: use)
      let run = try module.makeTransform(parameters: transform.parameters, nowMicros: now)
      let given = payloads
      let result: Result<[Payload], RoostError> = await runtime.workers.run {
        do throws(RoostError) { return .success(try run.apply(to: given) { names[$0] }) } catch {
          return .failure(error)
        }
      }
      payloads = try result.get()
    }
    for index in records.indices { records[index].payload = payloads[index] }
  }

  /// Makes the vector of the embedder's field for each record that has none but a source. Every record must have
  /// a vector in the end.
  private func embed(
    _ records: inout [PutRecord], _ hosted: HostedCollection, deadlineNanos: UInt64
  ) async throws(RoostError) {
    let schema = hosted.collection.schema
    guard let embedder = schema.embedder else {
      guard let record = records.first(where: { $0.vectors.isEmpty || $0.source != nil }) else { return }
      throw RoostError(
        .invalidArgument,
        "the record has \(record.source == nil ? "no vector" : "a source") and the collection no embedder",
        at: "record \(record.id.text), \(record.source == nil ? "vector" : "source")",
        remedy: "put a vector, or create the collection with an embedder")
    }
    let target = try schema.index(ofField: embedder.vectorField, at: "schema.embedder")
    let name = schema.fields[target].name
    var indices: [Int] = []
    var inputs: [EmbedderInput] = []
    for (index, record) in records.enumerated() {
      if record.vectors[name] != nil || target == 0 && record.vector != nil {
        guard record.source == nil else {
          throw RoostError(
            .invalidArgument, "the record has both a vector and a source to make it of",
            at: "record \(record.id.text), source", remedy: "give one of them")
        }
        continue
      }
      guard let input = record.source ?? EmbedderInput(record.payload[embedder.sourceField]) else {
        if !record.vectors.isEmpty { continue }
        throw RoostError(
          .invalidArgument,
          "the record has neither a vector nor text or bytes in field '\(embedder.sourceField)'",
          at: "record \(record.id.text), payload.\(embedder.sourceField)")
      }
      try input.validate(at: "record \(record.id.text)")
      indices.append(index)
      inputs.append(input)
    }
    guard !inputs.isEmpty else { return }
    let use = ModuleUse()
    defer { withExtendedLifetime(use) {} }
    let (_, module) = try await modules.use(embedder.selector(hosted.generation.embedder), by: use)
    let vectors = try await embed(inputs, module, deadlineNanos: deadlineNanos)
    for (index, vector) in zip(indices, vectors) {
      records[index].vectors[name] = vector
      records[index].source = nil
    }
  }

  /// Runs of texts, and each input of bytes alone.
  private static func pieces(_ inputs: [EmbedderInput]) -> [[EmbedderInput]] {
    var pieces: [[EmbedderInput]] = []
    var texts: [EmbedderInput] = []
    func flush() {
      if !texts.isEmpty { pieces.append(texts) }
      texts = []
    }
    for input in inputs {
      if case .text = input {
        texts.append(input)
        if texts.count == textsPerPiece { flush() }
      } else {
        flush()
        pieces.append([input])
      }
    }
    flush()
    return pieces
  }

  /// The vectors of inputs, in order; pieces of them are embedded side by side.
  func embed(_ inputs: [EmbedderInput], _ module: WasmModule, deadlineNanos: UInt64) async throws(RoostError)
    -> [Vector]
  {
    metrics.embeddedTexts.add(UInt64(inputs.count), ordering: .relaxed)
    let pieces = Coordinator.pieces(inputs)
    if pieces.count == 1 {
      return try await embedPiece(pieces[0], module, deadlineNanos: deadlineNanos).get()
    }
    let width = max(1, runtime.workers.width)
    let results = await withTaskGroup(
      of: (Int, Result<[Vector], RoostError>).self, returning: [Result<[Vector], RoostError>?].self
    ) { group in
      var results = [Result<[Vector], RoostError>?](repeating: nil, count: pieces.count)
      var next = 0
      // No more pieces at a time than there are workers: each holds an instance of the module.
      while next < min(width, pieces.count) {
        let index = next
        group.addTask { (index, await self.embedPiece(pieces[index], module, deadlineNanos: deadlineNanos)) }
        next += 1
      }
      while let (index, result) = await group.next() {
        results[index] = result
        if case .failure = result { continue }
        if next < pieces.count, !Task.isCancelled {
          let index = next
          group.addTask {
            (index, await self.embedPiece(pieces[index], module, deadlineNanos: deadlineNanos))
          }
          next += 1
        }
      }
      return results
    }
    var vectors: [Vector] = []
    vectors.reserveCapacity(inputs.count)
    for case .failure(let error)? in results { throw error }
    for result in results {
      guard case .success(let piece)? = result else {
        throw RoostError(
          .cancelled, "the request was cancelled while it was embedded", at: "module \(module.name)")
      }
      vectors += piece
    }
    return vectors
  }

  private func embedPiece(
    _ inputs: [EmbedderInput], _ module: WasmModule, deadlineNanos: UInt64
  ) async -> Result<[Vector], RoostError> {
    let clock = runtime.clock
    let wall = clock.wallMicros()
    return await runtime.workers.run {
      do throws(RoostError) {
        let now = clock.monotonicNanos()
        guard deadlineNanos > now else {
          throw RoostError(.deadlineExceeded, "no time was left to embed", at: "module \(module.name)")
        }
        let deadlineMs = Int(clamping: (deadlineNanos - now) / 1_000_000)
        return .success(
          try module.embed(inputs, nowMicros: wall, deadlineMs: max(1, deadlineMs)).map { Vector($0) })
      } catch {
        return .failure(error)
      }
    }
  }
}
