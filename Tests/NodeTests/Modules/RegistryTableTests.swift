// The registry as a value: random changes against a plain model, and what is refused.

import Core
import Testing
import Wire

@testable import Node

@Suite struct RegistryTableTests {
  static func release(_ content: Int, kind: ModuleKind = .filter, at time: UInt64 = 1) -> ModuleRelease {
    ModuleRelease(
      number: 0, kind: kind, byteCount: 10, digest: Digest(of: Array("\(content)".utf8)), exports: ["memory"],
      published: Version(time: time, node: 1))
  }

  /// What one module is, said as plainly as possible.
  private struct Model: Equatable {
    var contents: [UInt32: Int] = [:]
    var next: UInt32 = 1
    var current: UInt32?
    var history: [UInt32] = []
    var canary: UInt32?
    var isPinned = false

    mutating func serve(_ number: UInt32) {
      if current == number { return }
      if let current { history = history.filter { $0 != current && $0 != number } + [current] }
      history = history.suffix(16).filter { $0 != number }
      current = number
      if canary == number { canary = nil }
    }

    mutating func remove(_ number: UInt32) {
      contents[number] = nil
      history.removeAll { $0 == number }
      if canary == number { canary = nil }
    }
  }

  @Test(arguments: 0..<20) func randomChangesFollowAModel(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var table = RegistryTable()
    var models: [String: Model] = [:]
    for step in 0..<400 {
      let name = ["a", "b"][Int.random(in: 0..<2, using: &random)]
      var model = models[name] ?? Model()
      let before = table
      let number = UInt32.random(in: 1...max(1, model.next), using: &random)
      let exists = model.contents[number] != nil
      let at = Version(time: UInt64(step + 2), node: 1)
      let isAllowed: Bool
      let outcome: Result<Void, RoostError>
      func attempt(_ change: ModuleChange) -> Result<Void, RoostError> {
        do throws(RoostError) { return .success(try table.change(name, change, at: at)) } catch {
          return .failure(error)
        }
      }
      switch Int.random(in: 0..<10, using: &random) {
      case 0...3:
        let content = Int.random(in: 0..<60, using: &random)
        let places: [ModulePlacement] = [.current, .staged, .canary(percent: 10)]
        let place = places[Int.random(in: 0..<3, using: &random)]
        let known = model.contents.first { $0.value == content }?.key
        isAllowed = !(place == .canary(percent: 10) && known != nil && known == model.current)
        do throws(RoostError) {
          let given = try table.publish(
            name, Self.release(content, at: UInt64(step + 2)), placement: place, grants: 3)
          #expect(given == known ?? model.next, "seed \(seed), step \(step)")
          outcome = .success(())
        } catch { outcome = .failure(error) }
        if isAllowed {
          let number = known ?? model.next
          model.contents[number] = content
          if known == nil { model.next += 1 }
          if place == .current, !model.isPinned { model.serve(number) }
          if case .canary = place { model.canary = number }
          while model.contents.count > 32 {
            let kept: [UInt32?] = [model.current, model.canary, model.history.last, number]
            guard let oldest = model.contents.keys.sorted().first(where: { !kept.contains($0) }) else {
              break
            }
            model.remove(oldest)
          }
        }
      case 4:
        isAllowed = exists
        outcome = attempt(.pin(.number(number)))
        if isAllowed {
          model.serve(number)
          model.isPinned = true
        }
      case 5:
        isAllowed = !model.contents.isEmpty
        outcome = attempt(.unpin)
        model.isPinned = false
      case 6:
        isAllowed = !model.history.isEmpty
        outcome = attempt(.rollBack)
        if isAllowed {
          let (bad, last) = (model.current, model.history.removeLast())
          model.serve(last)
          model.history.removeAll { $0 == bad }
        }
      case 7:
        isAllowed = exists && model.current != number
        outcome = attempt(.canary(.number(number), percent: 30))
        if isAllowed { model.canary = number }
      case 8:
        isAllowed = model.canary != nil && !model.isPinned
        outcome = attempt(.promote)
        if isAllowed, let canary = model.canary {
          model.serve(canary)
          model.canary = nil
        }
      default:
        isAllowed = exists && model.current != number
        outcome = attempt(.delete(.number(number)))
        if isAllowed { model.remove(number) }
      }
      if case .failure(let error) = outcome {
        #expect(!isAllowed, "seed \(seed), step \(step): \(error)")
        #expect(table == before)
        #expect(error.kind == .notFound || error.kind == .invalidArgument)
        continue
      }
      #expect(isAllowed, "seed \(seed), step \(step)")
      // The reader refuses whatever breaks an invariant, so this checks them all.
      #expect(try RegistryTable(decoding: table.encoded(), file: "test") == table)
      guard !model.contents.isEmpty else {
        // With its last version goes the module.
        #expect(table.entries[name] == nil)
        models[name] = nil
        continue
      }
      models[name] = model
      let entry = try table.entry(name)
      #expect(
        Model(
          contents: Dictionary(
            uniqueKeysWithValues: entry.releases.map { release in
              (release.number, (0..<60).first { Digest(of: Array("\($0)".utf8)) == release.digest } ?? -1)
            }), next: entry.nextNumber, current: entry.current, history: entry.previous,
          canary: entry.canary?.version, isPinned: entry.isPinned) == model, "seed \(seed), step \(step)")
    }
  }

  @Test func versionsAreFoundByEveryName() throws {
    var table = RegistryTable()
    for content in 1...3 { _ = try table.publish("m", Self.release(content), placement: .current, grants: 3) }
    try table.change("m", .canary(.number(2), percent: 25), at: .zero)
    func find(_ text: String, share: Int = 50) throws -> UInt32 {
      try table.find(ModuleSelector(text), share: share).number
    }
    #expect(try find("m") == 3)
    #expect(try find("m", share: 24) == 2 && find("m", share: 25) == 3)
    #expect(try find("m@current", share: 0) == 3 && find("m@canary", share: 99) == 2)
    #expect(try find("m@1") == 1 && find("m@" + Digest(of: Array("1".utf8)).text.prefix(9)) == 1)
    for absent in ["m@4", "m@00000000", "x", "x@1"] {
      #expect(#expect(throws: RoostError.self) { try find(absent) }?.kind == .notFound)
    }
    try table.change("m", .endCanary, at: .zero)
    #expect(#expect(throws: RoostError.self) { try find("m@canary") }?.kind == .notFound)
    for wrong in ["m@", "m@0", "m@-1", "m@latest", "m@ABCDEF01", "@1", "m@1@2", "m@0001"] {
      #expect(#expect(throws: RoostError.self) { try ModuleSelector(wrong) }?.kind == .invalidArgument)
    }
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    var table = RegistryTable()
    _ = try table.publish("m", Self.release(1), placement: .current, grants: 3)
    let kinds = #expect(throws: RoostError.self) {
      try table.publish("m", Self.release(2, kind: .embedder), placement: .staged, grants: 3)
    }
    #expect(kinds?.message == "version 1 of module 'm' is of kind filter, this one of kind embedder")
    #expect(throws: RoostError.self) { try table.change("m", .delete(.current), at: .zero) }
    #expect(throws: RoostError.self) { try table.change("m", .rollBack, at: .zero) }
    // Vectors of two versions cannot be compared, so an embedder is never tried on a share of the requests.
    _ = try table.publish("e", Self.release(3, kind: .embedder), placement: .current, grants: 3)
    #expect(throws: RoostError.self) {
      try table.publish("e", Self.release(4, kind: .embedder), placement: .canary(percent: 1), grants: 3)
    }
    _ = try table.publish("e", Self.release(4, kind: .embedder), placement: .staged, grants: 3)
    #expect(throws: RoostError.self) { try table.change("e", .canary(.number(2), percent: 1), at: .zero) }
    for number in table.entries.count..<RegistryTable.modulesMax {
      _ = try table.publish("n\(number)", Self.release(1), placement: .current, grants: 3)
    }
    #expect(
      #expect(throws: RoostError.self) {
        try table.publish("more", Self.release(1), placement: .current, grants: 3)
      }?.kind == .limitExceeded)
    try table.change("m", .delete(nil), at: .zero)
    #expect(try table.publish("more", Self.release(1), placement: .current, grants: 3) == 1)
  }

  @Test func damageIsNoticed() throws {
    var table = RegistryTable()
    for content in 1...3 { _ = try table.publish("m", Self.release(content), placement: .current, grants: 3) }
    let bytes = table.encoded()
    for bit in 0..<bytes.count * 8 {
      var changed = bytes
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: RoostError.self) { try RegistryTable(decoding: changed, file: "test") }
    }
    for cut in 0..<bytes.count {
      #expect(throws: RoostError.self) { try RegistryTable(decoding: Array(bytes[..<cut]), file: "test") }
    }
    var newer = Array(bytes.dropLast(4))
    newer[8] = 2
    var writer = ByteWriter()
    writer.raw(newer)
    writer.u32(crc32c(newer))
    let error = #expect(throws: RoostError.self) { try RegistryTable(decoding: writer.bytes, file: "test") }
    #expect(error?.kind == .unsupportedVersion)
    var random = SplitMix64(seed: 7)
    for _ in 0..<20_000 {
      var body = RegistryFuzz.sample()
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        body[Int.random(in: 0..<body.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      RegistryFuzz.run([1] + body)
    }
  }
}
