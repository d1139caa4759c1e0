// Answers one facet while records pass by.

import Core

struct FacetCounter {
  private let facet: Facet
  private let field: PayloadField
  private var table = ValueTable()
  private var bounds = Bounds()
  /// The key of the value at hand; kept for its memory.
  private var key: [UInt8] = []

  private struct Bounds {
    var count = 0
    /// Keys of `SortKey`.
    var least: [UInt8]?
    var greatest: [UInt8]?
    var steps: [Int64: Int] = [:]
  }

  init(_ facet: Facet) {
    self.facet = facet
    field = PayloadField(facet.path)
  }

  /// Takes in a record's payload. `record` differs from one record to the next.
  mutating func add(_ payload: UnsafeRawBufferPointer, record: Int) throws(RoostError) {
    let field = self.field
    try field.forEachValue(in: payload) { (value) throws(RoostError) in
      switch (facet.kind, value) {
      case (.values, _):
        key.removeAll(keepingCapacity: true)
        SortKey.append(value, to: &key)
        try table.add(key, record: record)
      case (.numbers(let interval), .int(let number)):
        try note(value, step: interval == 0 ? nil : try step(Double(number), interval))
      case (.numbers(let interval), .double(let number)):
        try note(value, step: interval == 0 || !number.isFinite ? nil : try step(number, interval))
      case (.datetimes(let interval), .datetime(let micros)):
        try note(value, step: interval == 0 ? nil : FacetCounter.step(micros, FacetCounter.micros(interval)))
      default: break
      }
    }
  }

  /// Whether only values are counted, so that an index may do it.
  var countsValues: Bool { if case .values = facet.kind { true } else { false } }
  var path: FieldPath { facet.path }

  /// Takes in a value that so many records hold, of which none goes by `add(_:record:)`.
  mutating func add(_ value: ScalarView, records: Int) throws(RoostError) {
    guard records > 0 else { return }
    key.removeAll(keepingCapacity: true)
    SortKey.append(value, to: &key)
    try table.add(key, records: records)
  }

  /// Which step of a histogram a number falls into: the one that begins at this multiple of the interval.
  private func step(_ number: Double, _ interval: Double) throws(RoostError) -> Int64 {
    let step = (number / interval).rounded(.down)
    guard abs(step) < 0x1p53 else {
      throw RoostError(
        .invalidArgument, "the interval \(interval) is too small for the number \(number)",
        at: "facet field '\(facet.path.text)'")
    }
    return Int64(step)
  }

  private static func step(_ micros: Int64, _ width: Int64) -> Int64 {
    let (step, rest) = micros.quotientAndRemainder(dividingBy: width)
    return rest < 0 ? step - 1 : step
  }

  /// At least one microsecond.
  private static func micros(_ seconds: Double) -> Int64 {
    Int64(max(1, min((seconds * 1e6).rounded(), 0x1p62)))
  }

  private mutating func note(_ value: ScalarView, step: Int64?) throws(RoostError) {
    key.removeAll(keepingCapacity: true)
    SortKey.append(value, to: &key)
    bounds.count += 1
    if bounds.least.map({ SortKey.compare(key, $0) < 0 }) ?? true { bounds.least = key }
    if bounds.greatest.map({ SortKey.compare(key, $0) > 0 }) ?? true { bounds.greatest = key }
    guard let step else { return }
    bounds.steps[step, default: 0] += 1
    guard bounds.steps.count <= Limits.facetDistinctMax else {
      throw RoostError(
        .limitExceeded, "a histogram has more than \(Limits.facetDistinctMax) steps",
        at: "facet field '\(facet.path.text)'", remedy: "choose a wider interval")
    }
  }

  func answer() -> FacetAnswer {
    switch facet.kind {
    case .values(let top): .values(distinct: table.count, top: table.top(top))
    case .numbers(let interval):
      boundsAnswer { .double(Double($0) * interval) }
    case .datetimes(let interval):
      boundsAnswer {
        .datetime($0.multipliedReportingOverflow(by: FacetCounter.micros(interval)).partialValue)
      }
    }
  }

  private func boundsAnswer(_ lowerEnd: (Int64) -> Value) -> FacetAnswer {
    .bounds(
      count: bounds.count, least: bounds.least.map { SortKey(bytes: $0).value },
      greatest: bounds.greatest.map { SortKey(bytes: $0).value },
      histogram: bounds.steps.sorted { $0.key < $1.key }.map { step in
        ValueCount(value: lowerEnd(step.key), count: step.value)
      })
  }
}
