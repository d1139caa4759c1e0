// Text in, vectors out: the embedder of a collection at work, on the worker threads.

import Core
import Storage
import Synchronization
import Wasm
import Wire

extension Coordinator {
  /// Texts that one worker embeds at a time.
  private static let textsPerPiece = 64

  func put(_ request: PutRequest, _ context: RequestContext) async throws(RoostError) -> Response {
    let bytes = request.records.reduce(0) { $0 + ($1.vectors.isEmpty ? 1_024 : $1.vectors.byteCount) + 256 }
    try writes.enter(bytes)
    defer { writes.leave(bytes) }
    return try await collections.with(request.collection) { (collection) throws(RoostError) in
      var records = request.records
      try await embed(&records, collection.schema, deadlineNanos: context.deadlineNanos)
      return .put(try await collection.put(records))
    }
  }

  /// Makes the vector of the embedder's field for each record that has none but a text. Every record must have a
  /// vector in the end.
  private func embed(
    _ records: inout [PutRecord], _ schema: CollectionSchema, deadlineNanos: UInt64
  ) async throws(RoostError) {
    guard let embedder = schema.embedder else {
      guard let record = records.first(where: { $0.vectors.isEmpty }) else { return }
      throw RoostError(
        .invalidArgument, "the record has no vector and the collection no embedder",
        at: "record \(record.id.text), vector",
        remedy: "put a vector, or create the collection with an embedder")
    }
    let target = try schema.index(ofField: embedder.vectorField, at: "schema.embedder")
    let name = schema.fields[target].name
    var indices: [Int] = []
    var texts: [String] = []
    for (index, record) in records.enumerated() {
      if record.vectors[name] != nil || target == 0 && record.vector != nil { continue }
      guard case .string(let text)? = record.payload[embedder.sourceField] else {
        if !record.vectors.isEmpty { continue }
        throw RoostError(
          .invalidArgument, "the record has neither a vector nor a text in field '\(embedder.sourceField)'",
          at: "record \(record.id.text), payload.\(embedder.sourceField)")
      }
      indices.append(index)
      texts.append(text)
    }
    guard !texts.isEmpty else { return }
    let (_, module) = try await modules.use(embedder.module)
    let vectors = try await embed(texts, module, deadlineNanos: deadlineNanos)
    for (index, vector) in zip(indices, vectors) { records[index].vectors[name] = vector }
  }

  /// The vectors of texts, in order; pieces of them are embedded side by side.
  func embed(_ texts: [String], _ module: WasmModule, deadlineNanos: UInt64) async throws(RoostError)
    -> [Vector]
  {
    metrics.embeddedTexts.add(UInt64(texts.count), ordering: .relaxed)
    let pieces = stride(from: 0, to: texts.count, by: Coordinator.textsPerPiece).map {
      Array(texts[$0..<min($0 + Coordinator.textsPerPiece, texts.count)])
    }
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
    vectors.reserveCapacity(texts.count)
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
    _ texts: [String], _ module: WasmModule, deadlineNanos: UInt64
  ) async -> Result<[Vector], RoostError> {
    let clock = runtime.clock
    return await runtime.workers.run {
      do throws(RoostError) {
        let now = clock.monotonicNanos()
        guard deadlineNanos > now else {
          throw RoostError(.deadlineExceeded, "no time was left to embed", at: "module \(module.name)")
        }
        let deadlineMs = Int(clamping: (deadlineNanos - now) / 1_000_000)
        return .success(try module.embed(texts, deadlineMs: max(1, deadlineMs)).map { Vector($0) })
      } catch {
        return .failure(error)
      }
    }
  }
}
