// A short run of the fuzz entry, so that it stays alive; long runs are `tools/run fuzz wasm`.

import Core
import Testing
import Wasm

@Suite struct WasmFuzzTests {
  @Test func arbitraryModulesAndAnswers() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    for _ in 0..<600 {
      var input = (0..<Int.random(in: 1...60, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      // Small numbers make plausible addresses, counts and statuses.
      for index in input.indices.dropFirst() where Int.random(in: 0..<3, using: &random) > 0 {
        input[index] = UInt8.random(in: 0...2, using: &random)
      }
      input.withUnsafeBytes { WasmFuzz.run($0) }
    }
  }
}
