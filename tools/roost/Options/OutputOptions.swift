// Tables for people or JSON for programs.

import ArgumentParser
import Core

struct OutputOptions: ParsableArguments {
  @Flag(help: "Print JSON, for programs.")
  var json = false

  /// Prints `json` on one line, or what `text` makes.
  func print(_ json: @autoclosure () -> JSON, text: () -> String) throws(RoostError) {
    let output = self.json ? json().text : text()
    if !output.isEmpty { try Console.out(output) }
  }

  /// For commands whose success has nothing to report but itself.
  func printDone(_ json: JSON, _ sentence: String) throws(RoostError) {
    try print(json) { sentence }
  }
}
