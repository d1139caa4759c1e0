// A scan as a sequence of pages: streamed under flow control, and taken up again behind the last page seen
// when the connection is lost on the way.

import Core

/// The records of a collection in the order of their ids or of a field, page by page. Not a snapshot: records
/// that are put or deleted during the scan may or may not be seen.
public struct ScanPages: AsyncSequence, Sendable {
  public typealias Element = ScanPage
  public typealias Failure = RoostError

  let client: Client
  let request: ScanRequest
  let options: CallOptions

  public func makeAsyncIterator() -> Iterator { Iterator(client: client, request: request, options: options) }

  public struct Iterator: AsyncIteratorProtocol {
    let client: Client
    /// What is still to be scanned.
    var request: ScanRequest
    let options: CallOptions
    private var stream: PartStream?
    private var hasEnded = false

    init(client: Client, request: ScanRequest, options: CallOptions) {
      self.client = client
      self.request = request
      self.options = options
    }

    public mutating func next() async throws(RoostError) -> ScanPage? {
      try await next(isolation: nil)
    }

    /// The deadline of the options holds for each page: however long the caller works on one, the scan waits.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws(RoostError) -> ScanPage? {
      guard !hasEnded else { return nil }
      let request = request
      let trailer = Trailer(trace: options.trace)
      let deadline = client.deadlineNanos(options)
      let open = stream
      stream = nil
      var isFirstAttempt = true
      let (page, rest) = try await client.retrying(isIdempotent: true, deadlineNanos: deadline) {
        (connection) throws(CallFailure) -> (ScanPage?, PartStream?) in
        var current = isFirstAttempt ? open : nil
        isFirstAttempt = false
        if current == nil {
          let (id, queue) = try await connection.openParts(.scan(request), trailer, .max)
          current = PartStream(connection: connection, id: id, queue: queue)
        }
        guard let response = try await current?.next(deadlineNanos: deadline) else { return (nil, nil) }
        guard case .scan(let page) = response else {
          throw CallFailure(
            error: RoostError(.protocolViolation, "a scan was answered with \(response.opcode)", at: "scan"))
        }
        return (page, current)
      }
      guard let page else {
        hasEnded = true
        return nil
      }
      stream = rest
      if let next = page.next { self.request.after = next }
      self.request.limit -= Swift.min(self.request.limit, UInt64(page.records.count))
      if self.request.limit == 0 || page.next == nil { hasEnded = true }
      return page
    }
  }
}

extension Client {
  /// Scans records with ids above `after` in ascending order, at most `limit` of them.
  public func scan(
    _ collection: String, after: RecordID? = nil, limit: Int = .max, filter: Filter? = nil,
    includeVector: Bool = true, options: CallOptions = CallOptions()
  ) -> ScanPages {
    ScanPages(
      client: self,
      request: ScanRequest(
        collection: collection, after: after.map { ScanCursor(id: $0) }, limit: UInt64(max(0, limit)),
        filter: filter, includeVector: includeVector),
      options: options)
  }

  /// Scans records in the order of a field, behind `after`, at most `limit` of them. A record that changes
  /// meanwhile may be seen at its old place, its new one, both or neither; no other is missed or repeated.
  public func scan(
    _ collection: String, orderedBy order: ScanOrder, after: ScanCursor? = nil, limit: Int = .max,
    filter: Filter? = nil, includeVector: Bool = true, options: CallOptions = CallOptions()
  ) -> ScanPages {
    ScanPages(
      client: self,
      request: ScanRequest(
        collection: collection, order: order, after: after, limit: UInt64(max(0, limit)), filter: filter,
        includeVector: includeVector),
      options: options)
  }

  /// One page of a scan in one reply: at most `limit` records, fewer when they would make it too long.
  /// Its `next` says where to go on.
  public func scanPage(
    _ collection: String, orderedBy order: ScanOrder? = nil, after: ScanCursor? = nil, limit: Int = 1_000,
    filter: Filter? = nil, includeVector: Bool = true, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> ScanPage {
    let request = ScanRequest(
      collection: collection, order: order, after: after, limit: UInt64(max(0, limit)), filter: filter,
      includeVector: includeVector)
    let response = try await call(.scan(request), options)
    guard case .scan(let page) = response else {
      throw RoostError(.protocolViolation, "a scan was answered with \(response.opcode)", at: "\(address)")
    }
    return page
  }
}
