// How far a long command has come: a bar on a terminal, a line now and then elsewhere.

import Core

/// Progress on standard error. Confined to one task; `update` is cheap and draws a few times a second.
struct Progress {
  private let verb: String
  private let isSilent: Bool
  private let clock: any Clock
  private let startNanos: UInt64
  private var lastNanos: UInt64 = 0
  private var hasDrawn = false

  /// - Parameter verb: what is going on, such as "importing".
  init(_ verb: String, isSilent: Bool, clock: any Clock) {
    self.verb = verb
    self.isSilent = isSilent
    self.clock = clock
    startNanos = clock.monotonicNanos()
  }

  var seconds: Double { Double(clock.monotonicNanos() - startNanos) / 1e9 }

  /// - Parameters:
  ///   - fraction: from 0 to 1; nil when the end is not known.
  ///   - items: records done so far; nil when it is not records that count.
  mutating func update(fraction: Double?, items: Int?) {
    guard !isSilent else { return }
    let now = clock.monotonicNanos()
    let pause: UInt64 = Console.isErrorTerminal ? 100_000_000 : 5_000_000_000
    if lastNanos == 0 { lastNanos = startNanos }
    guard now >= lastNanos + pause else { return }
    lastNanos = now
    var text = verb
    if let items {
      let rate = seconds > 0 ? Int(Double(items) / seconds) : 0
      text += " \(Figures.count(items)), \(Figures.count(rate))/s"
    }
    if let fraction, fraction > 0 {
      text = "\(Int(fraction * 100))% " + text
      text += ", \(Figures.seconds(max(0, seconds / fraction - seconds))) left"
    }
    if Console.isErrorTerminal {
      let filled = Int((fraction ?? 0) * 24)
      let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
      Console.errorPart("\r\u{1b}[K" + (fraction == nil ? "" : bar + " ") + text)
      hasDrawn = true
    } else {
      Console.error(text)
    }
  }

  /// Removes the bar.
  mutating func end() {
    if hasDrawn { Console.errorPart("\r\u{1b}[K") }
    hasDrawn = false
  }
}
