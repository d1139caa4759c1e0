// Candidate keys, the beam and the frontier.

import Core
import Testing

@testable import Storage

@Suite struct CandidateTests {
  @Test func keysSortByDistanceThenRow() {
    let distances: [Float] = [
      -.infinity, -1e30, -1, -.leastNonzeroMagnitude, 0, .leastNonzeroMagnitude, 0.5, 1, 3e38, .infinity,
    ]
    for (index, distance) in distances.enumerated() {
      #expect(CandidateKey(distance: distance, row: 3).distance == distance)
      #expect(CandidateKey(distance: distance, row: 3) < CandidateKey(distance: distance, row: 4))
      for larger in distances[(index + 1)...] {
        #expect(CandidateKey(distance: distance, row: .max >> 1) < CandidateKey(distance: larger, row: 0))
      }
    }
    #expect(CandidateKey(distance: -0.0, row: 1).bits == CandidateKey(distance: 0, row: 1).bits)
    #expect(CandidateKey(distance: .nan, row: 1).distance == .infinity)
    #expect(CandidateKey(distance: -.nan, row: 1).distance == .infinity)
    #expect(CandidateKey(distance: 1, row: .max >> 1).row == .max >> 1)
  }

  @Test func beamKeepsTheNearest() {
    var random = SplitMix64(seed: 11)
    var memory = ScratchArray<CandidateKey>(capacity: 40)
    memory.reserve(40)
    var beam = Beam(keys: memory.base, capacity: 40)
    var all: [CandidateKey] = []
    var popped: [CandidateKey] = []
    for row in 0..<500 {
      let key = CandidateKey(distance: Float.random(in: 0...1, using: &random), row: UInt32(row))
      all.append(key)
      if beam.admits(key) { beam.insert(key) }
      if row % 7 == 0, let nearest = beam.popNearest() { popped.append(nearest) }
    }
    let expected = all.sorted().prefix(40)
    #expect((0..<40).map { beam.keys[$0].row } == expected.map(\.row))
    while let nearest = beam.popNearest() { popped.append(nearest) }
    #expect(Set(popped.map(\.row)).count == popped.count)
    #expect(Set(popped.map(\.row)).isSuperset(of: expected.map(\.row)))
  }

  @Test func frontierPopsInOrder() {
    var random = SplitMix64(seed: 12)
    var frontier = Frontier()
    var keys = (0..<300).map { CandidateKey(distance: Float.random(in: 0...1, using: &random), row: $0) }
    for key in keys { frontier.push(key) }
    keys.sort()
    for key in keys {
      let popped = frontier.pop()
      #expect(popped == key)
    }
    let last = frontier.pop()
    #expect(last == nil)
  }

  @Test func rowSetForgets() {
    var memory = RowSet()
    for round in 0..<7 {
      let limit = [100, 100_000, 5_000, 1, 9_000, 300, 100_000][round]
      var set = memory.begin(rowCount: limit)
      var fresh = 0
      for row in stride(from: 0, to: limit, by: 3) where set.insert(UInt32(row)) { fresh += 1 }
      #expect(fresh == (limit + 2) / 3)
      for row in stride(from: 0, to: limit, by: 3) where set.insert(UInt32(row)) { fresh += 1 }
      #expect(fresh == (limit + 2) / 3)
      memory.end(set)
    }
  }
}
