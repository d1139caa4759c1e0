// Error numbers of the kernel as errors for people.

import CURing
import Core
import Glibc

/// The system's words for an error number.
func systemMessage(_ code: Int32) -> String {
  // The GNU variant: it returns a constant string, or fills the buffer for numbers it does not know.
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { text in
    guard let base = text.baseAddress, let words = strerror_r(code, base, text.count) else {
      return "error \(code)"
    }
    return String(cString: words)
  }
}

extension RoostError {
  /// The error for `code` when trying to `action` ("open the file") at `place` (a path or an address).
  static func system(_ code: Int32, _ action: String, at place: String) -> RoostError {
    let message = "cannot \(action): \(systemMessage(code))"
    switch code {
    case ENOENT:
      return RoostError(.notFound, message, at: place, remedy: "check the path")
    case EEXIST:
      return RoostError(.alreadyExists, message, at: place)
    case ENOTEMPTY:
      return RoostError(.invalidArgument, message, at: place)
    case ENOSPC, EDQUOT:
      return RoostError(.noSpace, message, at: place, remedy: "free some space on that disk, then try again")
    case EROFS:
      return RoostError(
        .readOnly, message, at: place, remedy: "remount the file system for writing or choose another folder")
    case EACCES, EPERM:
      return RoostError(
        .permissionDenied, message, at: place,
        remedy: "give the user that runs Roost access to it, or choose another place")
    case EMFILE, ENFILE:
      return RoostError(
        .limitExceeded, message, at: place, remedy: "raise the limit of open files (ulimit -n, LimitNOFILE)")
    case ENOMEM:
      return RoostError(.limitExceeded, message, at: place, remedy: "free some memory")
    case ENAMETOOLONG:
      return RoostError(.invalidArgument, message, at: place, remedy: "use a shorter path")
    case ECANCELED:
      return RoostError(.cancelled, "the runtime was shut down before it could \(action)", at: place)
    case EIO:
      return RoostError(.io, message, at: place, remedy: "look for disk errors in the kernel's log (dmesg)")
    default:
      return RoostError(.io, message, at: place)
    }
  }
}
