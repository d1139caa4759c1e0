// SIGINT and SIGTERM as something to wait for.

import Core
import Foundation
import Glibc

/// The write end of the pipe that the signal handler reports to. A handler may touch nothing but this
/// number and `write`; it is set before the handler is installed and never changes after that.
private nonisolated(unsafe) var reportDescriptor: Int32 = -1

/// Catches the signals from its creation on; one per process.
struct StopSignals {
  private let descriptor: Int32

  init() throws(RoostError) {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else {
      throw RoostError(
        .limitExceeded, "cannot make a pipe: \(String(cString: strerror(errno)))", at: "signals")
    }
    descriptor = ends[0]
    reportDescriptor = ends[1]
    for number in [SIGINT, SIGTERM] {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { _ in
        var byte: UInt8 = 1
        _ = write(reportDescriptor, &byte, 1)
      }
      sigaction(number, &action, nil)
    }
    // A peer that closes its socket is an error to handle, not a reason to die.
    signal(SIGPIPE, SIG_IGN)
  }

  /// Returns at the first signal; a second one ends the process.
  func wait() async {
    let descriptor = descriptor
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      Thread {
        StopSignals.readByte(descriptor)
        continuation.resume()
        StopSignals.readByte(descriptor)
        _exit(130)
      }.start()
    }
  }

  private static func readByte(_ descriptor: Int32) {
    var byte: UInt8 = 0
    while read(descriptor, &byte, 1) < 0 && errno == EINTR {}
  }
}
