// Scans, by id or in the order of a field, sent in parts; facets.

import Core
import Storage
import Wire

extension Coordinator {
  /// Records that a scan asks the engine for at a time.
  private static let recordsPerScan = 2_048
  /// Records in a page of a scan.
  private static let recordsPerPage = 1_000

  /// Where the records of a scan come from.
  private struct ScanSource {
    let collection: Collection
    let request: ScanRequest
    private var ordered: OrderedScan?
    private var after: RecordID?

    init(_ collection: Collection, _ request: ScanRequest) throws(RoostError) {
      self.collection = collection
      self.request = request
      after = request.after?.id
      guard let order = request.order else {
        guard request.after?.value == nil else {
          throw RoostError(
            .invalidArgument, "a scan by id does not go on behind a value", at: "scan.after",
            remedy: "give the order that the place came from")
        }
        return
      }
      ordered = try collection.scan(
        orderedBy: order, after: request.after, filter: request.filter,
        includeVector: request.includeVector, expecting: Int(clamping: request.limit))
    }

    /// Up to `count` records, each with the place behind it; fewer only at the end.
    mutating func next(_ count: Int) async throws(RoostError) -> [(record: Record, place: ScanCursor)] {
      if ordered != nil {
        guard let records = try await ordered?.next(count) else { return [] }
        return records.map { ($0.record, $0.cursor) }
      }
      let records = try await collection.scan(
        after: after, limit: count, filter: request.filter, includeVector: request.includeVector)
      after = records.last?.id ?? after
      return records.map { ($0, ScanCursor(id: $0.id)) }
    }
  }

  func scan(_ request: ScanRequest, _ context: RequestContext) async throws(RoostError) -> Response {
    try queries.enter(1)
    defer { queries.leave(1) }
    guard request.limit > 0 else { return .scan(ScanPage(records: [], next: request.after)) }
    return try await collections.with(request.collection) { (collection) throws(RoostError) in
      var source = try ScanSource(collection, request)
      var next = request.after
      var left = request.limit
      var page: [Record] = []
      var pageBytes = 0
      while true {
        let wanted = Int(min(left, UInt64(Coordinator.recordsPerScan)))
        let records = try await source.next(wanted)
        let isEnd = records.count < wanted
        for (index, (record, place)) in records.enumerated() {
          page.append(record)
          pageBytes += 64 + record.vectors.byteCount + Coordinator.wireBytes(record.payload)
          guard pageBytes >= Coordinator.partBytes || page.count >= Coordinator.recordsPerPage else {
            continue
          }
          let isLast = index == records.count - 1 && (isEnd || left == UInt64(records.count))
          guard !isLast else { break }
          let full = ScanPage(records: page, next: place)
          guard let parts = context.parts else { return .scan(full) }
          try await parts.send(.scan(full))
          page = []
          pageBytes = 0
        }
        left -= UInt64(records.count)
        next = records.last?.place ?? next
        if isEnd || left == 0 { return .scan(ScanPage(records: page, next: isEnd ? nil : next)) }
      }
    }
  }

  func facet(_ request: FacetRequest) async throws(RoostError) -> Response {
    try queries.enter(1)
    defer { queries.leave(1) }
    return try await collections.with(request.collection) { (collection) throws(RoostError) in
      .facet(try await collection.facet(request.query))
    }
  }

  /// About how long a payload is on the wire.
  private static func wireBytes(_ payload: Payload) -> Int {
    payload.fields.reduce(8) { $0 + $1.key.utf8.count + wireBytes($1.value) }
  }

  private static func wireBytes(_ value: Value) -> Int {
    switch value {
    case .string(let text): text.utf8.count + 4
    case .bytes(let bytes): bytes.count + 4
    case .array(let values): values.reduce(8) { $0 + wireBytes($1) }
    case .map(let fields): fields.reduce(8) { $0 + $1.key.utf8.count + wireBytes($1.value) }
    default: 17
    }
  }
}
