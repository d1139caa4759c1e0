// Whether a ring thread, before it sleeps, looks for a moment whether something comes. Waking a thread whose
// core has gone idle takes tens of microseconds, in a virtual machine more; a request and its reply pay
// for it twice. A pure policy: `Ring` measures and acts.

/// Polls only while waits have lately been short and polling has found what came, so an idle ring does not
/// poll at all, and one whose core others want (perhaps the very thread that it waits for) hardly ever. What
/// it costs: at most `nanosMax` of processor time for each wait.
struct BusyPoll: Sendable {
  /// Waits without polling after polling has failed once; twice as many after each further failure in a row.
  static let waitsAside = 8
  static let waitsAsideMax = 4096
  /// Longer between two looks than this, and another thread had the core.
  static let gapNanosMax: UInt64 = 50_000

  /// The longest that one wait is polled for; 0: never.
  let nanosMax: UInt64
  private var isOn = false
  private var aside = 0
  private var failures = 0

  init(nanosMax: UInt64) { self.nanosMax = nanosMax }

  /// How long to poll in the wait that begins now.
  mutating func begin() -> UInt64 {
    if aside > 0 {
      aside -= 1
      return 0
    }
    return isOn ? nanosMax : 0
  }

  /// What polling came to.
  mutating func polled(inTime: Bool) {
    if inTime {
      failures = 0
    } else {
      aside = min(Self.waitsAside << min(failures, 16), Self.waitsAsideMax)
      failures += 1
    }
  }

  /// A wait is over. One that was slept through includes the time of waking, hence the allowance.
  mutating func end(afterNanos nanos: UInt64) { isOn = nanos <= nanosMax + nanosMax / 2 }
}
