// `tools/run fuzz TARGET`: throws mutated and made-up bytes at every decoder of outside bytes. A crash ends
// the program and prints the seed and iteration that reproduce it.

import ArgumentParser
import Core
import Foundation

@main
struct Fuzz: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fuzz", abstract: "Attacks every decoder of outside bytes.",
    discussion: """
      Targets: \(FuzzTarget.names.joined(separator: ", ")), or all.

      Examples:
        tools/run fuzz all --seconds 5
        tools/run fuzz wal --seconds 600 --seed 7
        tools/run fuzz wal --seed 7 --first 123456 --iterations 1     replays one input
      """)

  @Argument(help: "What to attack.")
  var target: String
  @Option(help: "How long to go on, for each target.")
  var seconds = 10.0
  @Option(help: "Stop after so many inputs, whatever the time.")
  var iterations: Int?
  @Option(help: "Seed; each input is made from it and the number of its iteration.")
  var seed: UInt64 = 1
  @Option(help: "Number of the first iteration.")
  var first = 0

  func validate() throws {
    guard target == "all" || FuzzTarget.names.contains(target) else {
      throw ValidationError(
        "'\(target)' is no target; there are \(FuzzTarget.names.joined(separator: ", ")) and all")
    }
  }

  func run() throws {
    CrashReport.install()
    for name in target == "all" ? FuzzTarget.names : [target] {
      let attack = try FuzzTarget.make(name)
      CrashReport.begin(target: name, seed: seed)
      let start = DispatchTime.now().uptimeNanoseconds
      var iteration = first
      while iteration - first < iterations ?? .max,
        Double(DispatchTime.now().uptimeNanoseconds - start) < seconds * 1e9
      {
        CrashReport.iteration = iteration
        var source = InputSource(seed: seed &+ UInt64(iteration) &* 0x9e37_79b9_7f4a_7c15)
        try attack(&source)
        iteration += 1
      }
      print("\(name): \(iteration - first) inputs, no crash (seed \(seed))")
    }
  }
}
