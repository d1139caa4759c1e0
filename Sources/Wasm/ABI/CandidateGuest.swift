// What filters and scorers have in common: configured instances of one query, and candidates on their way into
// guest memory.

import CKernels
import Core

/// The guest of one query. Every instance is new and dies with the query, so nothing that a guest remembers leaks
/// from one query into another; a trap ends this query alone.
final class CandidateGuest: Sendable {
  let code: ModuleCode
  private let parameters: [UInt8]
  private let context: GuestContext
  /// Configured instances: one, unless the query runs on several threads.
  private let pool: InstancePool
  private let projection: PayloadProjection?
  /// The vector field that it reads, by its place in the schema.
  let vector: Int?

  init(code: ModuleCode, parameters: Payload, context: GuestContext) throws(RoostError) {
    self.code = code
    self.parameters = parameters.encoded
    self.context = context
    pool = InstancePool(idlePerModuleMax: code.engine.limits.idleInstancesPerModuleMax)
    guard self.parameters.count <= Limits.payloadBytesMax else {
      throw RoostError(
        .limitExceeded,
        "parameters of \(self.parameters.count) bytes, the limit is \(Limits.payloadBytesMax)",
        at: "module \(code.name)")
    }
    let first = try CandidateGuest.start(code, self.parameters, context)
    projection = try first.declaredFields().map { PayloadProjection(fields: $0) }
    vector = try first.declaredVector().map { (name) throws(RoostError) in
      try context.field(declared: name, by: code)
    }
    pool.give(first)
  }

  private static func start(
    _ code: ModuleCode, _ parameters: [UInt8], _ context: GuestContext
  ) throws(RoostError) -> WasmInstance {
    let instance = try WasmInstance(code: code, nowMicros: context.nowMicros, seed: fnv1a(parameters))
    try instance.configure(parameters)
    return instance
  }

  /// Hands candidates to an instance, which has been told what is searched near, in as many calls as they need.
  /// - Parameter body: makes one call: the instance, its candidates, their payloads' bytes, and which they are.
  func forEachCall(
    _ items: Items, target: [Float],
    _ body: (WasmInstance, Items, Int, Range<Int>) throws(RoostError) -> Void
  ) throws(RoostError) {
    let instance = try take()
    defer { pool.give(instance) }
    try introduce(instance, target: target)
    var start = 0
    while start < items.payloads.count {
      let (end, bytes) = batchEnd(items, from: start)
      try body(instance, items.slice(start..<end), bytes, start..<end)
      start = end
    }
  }

  private func take() throws(RoostError) -> WasmInstance {
    if let idle = pool.take(of: code) { return idle }
    return try CandidateGuest.start(code, parameters, context)
  }

  /// Tells an instance what is searched near, once.
  private func introduce(_ instance: WasmInstance, target: [Float]) throws(RoostError) {
    guard !instance.knowsQuery else { return }
    try instance.introduce(target: target, dimension: vector.map { context.fields[$0].dimension } ?? 0)
  }

  /// Candidates of one call.
  struct Items {
    let payloads: UnsafeBufferPointer<UnsafeRawBufferPointer>
    /// Stored vectors; empty: none.
    let vectors: UnsafeBufferPointer<UnsafeRawBufferPointer>
    /// Empty: none.
    let distances: UnsafeBufferPointer<Float>

    func slice(_ range: Range<Int>) -> Items {
      func part<T>(_ all: UnsafeBufferPointer<T>) -> UnsafeBufferPointer<T> {
        all.isEmpty ? all : UnsafeBufferPointer(rebasing: all[range])
      }
      return Items(payloads: part(payloads), vectors: part(vectors), distances: part(distances))
    }
  }

  /// The end of the next call's candidates, and the bytes that their payloads take at most.
  private func batchEnd(_ items: Items, from start: Int) -> (end: Int, bytes: Int) {
    let limits = code.engine.limits
    let extra = vector.map { context.fields[$0].dimension * MemoryLayout<Float>.size } ?? 0
    let last = min(items.payloads.count, start + limits.filterBatchMax)
    var (end, bytes, all) = (start, 0, 0)
    while end < last {
      let count = max(1, items.payloads[end].count)
      guard end == start || all + count + extra <= limits.callBytesMax else { break }
      bytes += count
      all += count + extra
      end += 1
    }
    return (end, bytes)
  }

  /// Writes candidates and fills the output with what no guest may answer.
  /// - Parameters:
  ///   - payloadBytes: as `batchEnd` has it.
  ///   - outputBytes: of one candidate.
  /// - Returns: the addresses of the input and of the output.
  func write(
    _ items: Items, payloadBytes: Int, outputBytes: Int, to instance: WasmInstance
  ) throws(RoostError) -> (input: UInt32, output: UInt32) {
    let count = items.payloads.count
    let dimension = vector.map { context.fields[$0].dimension } ?? 0
    let floats = MemoryLayout<Float>.size
    let distanceBytes = items.distances.isEmpty ? 0 : roundedUp(count * floats)
    let vectorBytes = roundedUp(count * dimension * floats)
    let layout = BatchLayout(
      count: count, itemBytes: payloadBytes + GuestABI.alignment + distanceBytes + vectorBytes,
      outputBytes: count * outputBytes)
    let (address, bytes) = try instance.buffer(atLeast: layout.byteCount)
    var writer = BatchWriter(bytes, layout: layout)
    if let projection {
      for payload in items.payloads { writer.append(count: try projection.copy(payload, into: writer.room)) }
    } else {
      for payload in items.payloads { writer.append(payload) }
    }
    var at = roundedUp(writer.end)
    if distanceBytes > 0 {
      UnsafeMutableRawBufferPointer(rebasing: bytes[at...]).copyMemory(
        from: UnsafeRawBufferPointer(items.distances))
      at += distanceBytes
    }
    if let vector {
      write(items.vectors, of: context.fields[vector], count, to: bytes.baseAddress.map { $0 + at })
    }
    UnsafeMutableRawBufferPointer(rebasing: bytes[layout.outputOffset..<layout.byteCount])
      .initializeMemory(as: UInt8.self, repeating: GuestABI.unwritten)
    return (address, layout.outputAddress(address))
  }

  /// Vectors as floats, `[count × dimension]`; NaN for a record without one.
  private func write(
    _ vectors: UnsafeBufferPointer<UnsafeRawBufferPointer>, of field: VectorField, _ count: Int,
    to place: UnsafeMutableRawPointer?
  ) {
    guard let place else { return }
    let dimension = field.dimension
    for index in 0..<count {
      let row = (place + index * dimension * MemoryLayout<Float>.size)
        .bindMemory(to: Float.self, capacity: dimension)
      if !vectors.isEmpty, let source = vectors[index].baseAddress {
        roost_to_floats(Int32(field.element.rawValue), source, dimension, row)
      } else {
        row.update(repeating: .nan, count: dimension)
      }
    }
  }
}

/// Up to the next multiple of the ABI's alignment.
@inline(__always)
func roundedUp(_ count: Int) -> Int { (count + GuestABI.alignment - 1) & ~(GuestABI.alignment - 1) }

/// FNV-1a, 64 bits (Fowler, Noll, Vo): the seed of a query's random numbers.
func fnv1a(_ bytes: [UInt8]) -> UInt64 {
  bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
