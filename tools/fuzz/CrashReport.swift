// Says which input was at work when the process dies.

import Foundation

/// The input at work. Written by the one fuzzing thread, read by the signal handler on the same thread.
enum CrashReport {
  nonisolated(unsafe) static var iteration = 0
  nonisolated(unsafe) private static var prefix: [UInt8] = []

  static func begin(target: String, seed: UInt64) {
    prefix = Array(
      "\ncrashed; to reproduce: tools/run fuzz \(target) --seed \(seed) --iterations 1 --first ".utf8)
  }

  /// Catches the signals by which a Swift program dies.
  static func install() {
    for signal in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE] {
      Foundation.signal(signal) { signal in
        // Only what is allowed in a signal handler: no allocation, and write(2).
        CrashReport.prefix.withUnsafeBytes { _ = write(2, $0.baseAddress, $0.count) }
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        withUnsafeMutableBytes(of: &digits) { text in
          var rest = CrashReport.iteration
          var place = text.count - 1
          text[place] = UInt8(ascii: "\n")
          repeat {
            place -= 1
            text[place] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
          } while rest > 0
          _ = write(2, text.baseAddress! + place, text.count - place)
        }
        Foundation.signal(signal, SIG_DFL)
        raise(signal)
      }
    }
  }
}
