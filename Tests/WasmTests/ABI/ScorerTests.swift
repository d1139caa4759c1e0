// Scorers, and what filters and scorers see beside payloads: distances, vectors, what is searched near.

import Core
import Testing
import Wasm

@Suite struct ScorerTests {
  private let engine: WasmEngine

  init() throws { engine = try WasmEngine(limits: testLimits()) }

  /// Leaves in `$at` the address of the distances: behind the items, at a multiple of 16.
  private static let findDistances = """
    (local.set $at (i32.and
      (i32.add
        (i32.add (local.get $in) (i32.load (i32.add (local.get $in) (i32.shl (local.get $n) (i32.const 2)))))
        (i32.const 15))
      (i32.const -16)))
    """

  /// Each score is −2 × the distance.
  private static let negatedDistances = GuestFixture.scorer(
    """
    \(findDistances)
    (loop $next
      (f32.store (i32.add (local.get $out) (i32.shl (local.get $i) (i32.const 2)))
        (f32.mul (f32.const -2) (f32.load (i32.add (local.get $at) (i32.shl (local.get $i) (i32.const 2))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $n)
    """)

  @Test func scorersSeeDistances() throws {
    let module = try Self.negatedDistances.compile(engine)
    #expect(module.kind == .scorer)
    let scorer = try module.makeScorer()
    #expect(scorer.readsVector == nil)
    for count in [1, 2, 3, 64, 1_024, 2_500] {
      let payloads = (0..<count).map { Payload(["n": .string(String(repeating: "x", count: $0 % 37))]) }
      let distances = (0..<count).map { Float($0) / 4 }
      #expect(try scores(scorer, payloads, distances: distances) == distances.map { -2 * $0 })
    }
    expectFailure(.invalidArgument, "is a scorer, not a filter") { () throws(RoostError) in
      _ = try module.makeFilter()
    }
  }

  @Test func impossibleScoresAreRefused() throws {
    for (value, word) in [("nan", "NaN"), ("inf", "infinity")] {
      let module = try GuestFixture.scorer(
        """
        (f32.store (local.get $out) (f32.const 1))
        (f32.store offset=4 (local.get $out) (f32.const \(value)))
        (local.get $n)
        """
      ).compile(engine)
      expectFailure(.moduleFailed, "gave \(word) as the score of candidate 1 of 2") {
        () throws(RoostError) in
        _ = try scores(module.makeScorer(), [Payload(), Payload()], distances: [0, 1])
      }
    }
    // What was not written is NaN.
    let lazy = try GuestFixture.scorer("(local.get $n)").compile(engine)
    expectFailure(.moduleFailed, "gave NaN as the score of candidate 0") { () throws(RoostError) in
      _ = try scores(lazy.makeScorer(), [Payload()], distances: [0])
    }
    let least = try GuestFixture.scorer(
      "(f32.store (local.get $out) (f32.const -inf)) (local.get $n)"
    ).compile(engine)
    #expect(try scores(least.makeScorer(), [Payload()], distances: [0]) == [-.infinity])
  }

  /// The score is the candidate's vector times the query's; both have two elements.
  @Test func scorersSeeVectorsAndTheQuery() throws {
    var fixture = GuestFixture.scorer(
      """
      \(Self.findDistances)
      (local.set $at (i32.add (local.get $at) (i32.and
        (i32.add (i32.shl (local.get $n) (i32.const 2)) (i32.const 15)) (i32.const -16))))
      (loop $next
        (f32.store (i32.add (local.get $out) (i32.shl (local.get $i) (i32.const 2))) (f32.add
          (f32.mul (f32.load (i32.const 1024)) (f32.load (local.get $at)))
          (f32.mul (f32.load (i32.const 1028)) (f32.load offset=4 (local.get $at)))))
        (if (f32.ne (f32.load (local.get $at)) (f32.load (local.get $at))) (then
          (f32.store (i32.add (local.get $out) (i32.shl (local.get $i) (i32.const 2))) (f32.const -7))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
      (local.get $n)
      """)
    fixture.rest = """
      (data (i32.const 512) "*other")
      (func (export "roost_vector") (result i64) (i64.const 0x20000000001))
      (func (export "roost_query") (param $at i32) (param $n i32) (param $dimension i32) (result i32)
        (memory.copy (i32.const 1024) (local.get $at) (i32.shl (local.get $n) (i32.const 2)))
        (i32.sub (i32.eq (local.get $dimension) (i32.const 2)) (i32.const 1)))
      """
    let module = try fixture.compile(engine)
    for element in [VectorElement.f32, .f16, .bf16, .i8] {
      let context = GuestContext(
        fields: [VectorField(dimension: 3), VectorField(name: "other", dimension: 2, element: element)],
        searched: 1)
      let scorer = try module.makeScorer(context: context)
      #expect(scorer.readsVector == 1)
      let rows = [[Float]]([[1, 2], [3, -4], [0, 5]])
      let vectors =
        rows.map { row in
          element == .i8 ? Vector(row.map { Int8($0) }) : Vector(row).rounded(to: element)!
        }.map(\.bytes) + [[]]
      let found = try scores(
        scorer, Array(repeating: Payload(), count: 4), distances: [0, 1, 2, 3], vectors: vectors,
        target: [10, 1])
      #expect(found == [12, 26, 5, -7], "\(element)")
    }
    // A dimension that the guest does not like.
    let wrong = GuestContext(fields: [VectorField(dimension: 3)])
    expectFailure(.invalidArgument, "refused the query") { () throws(RoostError) in
      _ = try scores(
        module.makeScorer(context: wrong), [Payload()], distances: [0],
        vectors: [[UInt8](repeating: 0, count: 12)], target: [1, 2, 3])
    }
    // By name, and by a name that is not there.
    fixture.rest = fixture.rest.replacing("0x20000000001", with: "0x20100000005")
    let named = try fixture.compile(engine)
    let context = GuestContext(fields: [VectorField(dimension: 3), VectorField(name: "other", dimension: 2)])
    #expect(try named.makeScorer(context: context).readsVector == 1)
    expectFailure(.invalidArgument, "asks for the vector 'other'") { () throws(RoostError) in
      _ = try named.makeScorer(context: wrong)
    }
  }

  /// Passes candidates whose first element is positive.
  @Test func filtersSeeVectors() throws {
    var fixture = GuestFixture.filter(
      """
      (local.set $at (i32.and
        (i32.add
          (i32.add (local.get $in) (i32.load (i32.add (local.get $in) (i32.shl (local.get $n) (i32.const 2)))))
          (i32.const 15))
        (i32.const -16)))
      (loop $next
        (i32.store8 (i32.add (local.get $out) (local.get $i))
          (f32.gt (f32.load (local.get $at)) (f32.const 0)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
      (local.get $n)
      """)
    fixture.rest = """
      (data (i32.const 512) "*") (func (export "roost_vector") (result i64) (i64.const 0x20000000001))
      """
    let filter = try fixture.compile(engine).makeFilter(
      context: GuestContext(fields: [VectorField(dimension: 2)]))
    #expect(filter.readsVector == 0)
    let rows: [[Float]] = [[1, 0], [-1, 0], [0.5, 9]]
    let vectors = Buffers(rows.map { Vector($0).bytes } + [[]])
    let payloads = Buffers(Array(repeating: Payload().encoded, count: 4))
    var verdicts = [true, true, false, true]
    try verdicts.withUnsafeMutableBufferPointer {
      try filter.evaluate(
        CandidateBatch(payloads: payloads.views, vectors: vectors.views), verdicts: $0)
    }
    #expect(verdicts == [true, false, true, false])
  }
}

/// Byte runs at fixed places.
final class Buffers {
  private let storage: [IOBuffer]
  let views: UnsafeBufferPointer<UnsafeRawBufferPointer>

  init(_ all: [[UInt8]]) {
    storage = all.map { IOBuffer($0) }
    let views = UnsafeMutableBufferPointer<UnsafeRawBufferPointer>.allocate(capacity: all.count)
    _ = views.initialize(
      from: zip(storage, all).map { buffer, bytes in
        bytes.isEmpty ? UnsafeRawBufferPointer(start: nil, count: 0) : buffer.bytes
      })
    self.views = UnsafeBufferPointer(views)
  }

  deinit { views.deallocate() }
}

/// The scores of candidates.
func scores(
  _ scorer: any CandidateScorer, _ payloads: [Payload], distances: [Float], vectors: [[UInt8]] = [],
  target: [Float] = []
) throws(RoostError) -> [Float] {
  let encoded = Buffers(payloads.map(\.encoded))
  let stored = Buffers(vectors)
  var scores = [Float](repeating: 0, count: payloads.count)
  try distances.withUnsafeBufferPointer { (distances) throws(RoostError) in
    try scores.withUnsafeMutableBufferPointer { (scores) throws(RoostError) in
      try scorer.score(
        ScoreBatch(payloads: encoded.views, distances: distances, vectors: stored.views, target: target),
        scores: scores)
    }
  }
  return withExtendedLifetime((encoded, stored)) { scores }
}
