// How failures reach people, programs and shells (`spec/cli.md`).

import Core

enum ErrorReport {
  /// `error: message (at place)` and `hint: remedy`, or one JSON object; always on standard error.
  static func print(_ error: RoostError, asJSON: Bool) {
    let remedy = error.remedy.isEmpty ? fallbackRemedy(error) : error.remedy
    if asJSON {
      let details = JSON.object([
        "kind": .string("\(error.kind)"), "message": .string(error.message), "place": .string(error.place),
        "remedy": .string(remedy),
      ])
      Console.error(JSON.object(["error": details]).text)
      return
    }
    show("error: \(error.message)" + (error.place.isEmpty ? "" : " (at \(error.place))"))
    if !remedy.isEmpty { show("hint: \(remedy)") }
  }

  /// Errors quote what others wrote; only line ends may pass.
  private static func show(_ text: String) {
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      Console.error(Table.onOneLine(String(line)))
    }
  }

  private static func fallbackRemedy(_ error: RoostError) -> String {
    switch error.kind {
    case .unavailable, .connectionClosed:
      "check that a node runs there (`roost serve`) and that --address names it"
    case .overloaded, .deadlineExceeded: "try again later, or give --timeout-ms more time"
    default: ""
    }
  }
}

extension RoostError {
  /// The process's exit code; those from 64 on are the ones of sysexits.h.
  var exitCode: Int32 {
    switch kind {
    case .notFound: 2
    case .alreadyExists: 3
    case .invalidArgument, .limitExceeded: 64
    case .corrupted: 65
    case .unavailable, .connectionClosed: 69
    case .internalFailure: 70
    case .io, .noSpace, .readOnly: 74
    case .locked, .overloaded, .deadlineExceeded: 75
    case .protocolViolation, .unsupportedVersion: 76
    case .permissionDenied: 77
    case .cancelled: 130
    case .moduleFailed: 1
    }
  }
}
