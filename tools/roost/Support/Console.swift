// Standard output and error, without buffering that a crash or an exit could lose.

import Core
import Glibc

enum Console {
  static var isOutputTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
  static var isErrorTerminal: Bool { isatty(STDERR_FILENO) == 1 }
  static var isInputTerminal: Bool { isatty(STDIN_FILENO) == 1 }

  /// Characters in a line of the terminal; 100 when there is none.
  static var columns: Int {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 100 }
    return Int(size.ws_col)
  }

  /// A line on standard output.
  static func out(_ text: String) throws(RoostError) {
    try write(Array((text + "\n").utf8), to: STDOUT_FILENO)
  }

  /// A line on standard error. If even that fails there is nobody left to tell.
  static func error(_ text: String) { try? write(Array((text + "\n").utf8), to: STDERR_FILENO) }

  static func errorPart(_ text: String) { try? write(Array(text.utf8), to: STDERR_FILENO) }

  static func write(_ bytes: [UInt8], to descriptor: Int32 = STDOUT_FILENO) throws(RoostError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done)
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw RoostError(
          errno == ENOSPC ? .noSpace : .io, "cannot write the output: \(String(cString: strerror(errno)))",
          at: "descriptor \(descriptor)")
      }
      done += count
    }
  }

  /// Up to `count` bytes of standard input; empty at its end.
  static func read(_ count: Int) throws(RoostError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    while true {
      let got = bytes.withUnsafeMutableBytes { Glibc.read(STDIN_FILENO, $0.baseAddress, count) }
      if got >= 0 { return Array(bytes[..<got]) }
      guard errno == EINTR else {
        throw RoostError(
          .io, "cannot read the input: \(String(cString: strerror(errno)))", at: "standard input")
      }
    }
  }
}
