// Which requests a canary gets: decided by the request's trace or id, so that a client can tell, and a retry
// within one trace meets the same version.

import Core
import Wire

enum RequestShare {
  /// The place of a request among a hundred, 0 to 99 (`spec/modules.md`, "Canary"): FNV-1a over the trace id, or
  /// else over the peer's address and the request's id, finished by the mixer of SplitMix64.
  static func place(_ context: RequestContext) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ bytes: some Sequence<UInt8>) {
      for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
    func add(_ value: UInt64) { add((0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }) }
    if let trace = context.trace {
      add(trace.traceHigh)
      add(trace.traceLow)
    } else {
      add(context.peer.utf8)
      add(UInt64(context.requestID))
    }
    hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
    hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
    return Int((hash ^ (hash >> 31)) % 100)
  }
}
