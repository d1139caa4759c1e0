// Intents become numbers: more recall or more neighbours never mean less effort.

import Core
import Testing

@Suite struct GraphIntentTests {
  @Test func effortGrowsWithRecallAndCount() {
    var previous = 0
    for thousandths in 500...999 {
      let effort = RecallTarget(thousandths: thousandths).effort(nearest: 10)
      #expect(effort >= previous && effort >= 10)
      previous = effort
    }
    #expect(RecallTarget(share: 0.95).effort(nearest: 10) == 32)
    #expect(RecallTarget(share: 0.99).effort(nearest: 10) == 80)
    for target in [RecallTarget(share: 0.5), .standard, RecallTarget(share: 0.999)] {
      previous = 0
      for count in 1...2000 {
        let effort = target.effort(nearest: count)
        #expect(effort >= previous && effort > count)
        previous = effort
      }
    }
  }

  @Test func schemasRefuseImpossibleTargets() throws {
    for thousandths in [0, 499, 1000, 65_535] {
      let schema = CollectionSchema(dimension: 3, recall: RecallTarget(thousandths: thousandths))
      #expect(throws: RoostError.self) { try schema.validate() }
    }
    #expect(!RecallTarget(share: .nan).isPossible && !RecallTarget(share: -.infinity).isPossible)
    for layout in GraphLayout.allCases {
      #expect(GraphLayout(name: layout.name) == layout)
      let schema = CollectionSchema(dimension: 3, layout: layout, recall: RecallTarget(share: 0.75))
      try schema.validate()
      var writer = ByteWriter()
      schema.encode(into: &writer)
      try writer.bytes.withUnsafeBytes { bytes in
        var reader = ByteReader(bytes)
        let decoded = try CollectionSchema(from: &reader)
        #expect(decoded == schema)
      }
      // The layout is the eleventh byte.
      var bad = writer.bytes
      bad[10] = 9
      try bad.withUnsafeBytes { bytes in
        var reader = ByteReader(bytes)
        #expect(throws: RoostError.self) { try CollectionSchema(from: &reader) }
      }
    }
  }
}
