// Builds each guest of `tools/guests` once per test run.

import Core
import Synchronization
import Wasm

final class BuiltGuests: Sendable {
  private let modules = Mutex<[String: [UInt8]]>([:])

  func bytes(_ guest: String) throws(RoostError) -> [UInt8] {
    try modules.withLock { (modules) throws(RoostError) in
      if let bytes = modules[guest] { return bytes }
      let bytes = try ModuleBuilder(sdkPath: GuestModuleTests.guests + "/sdk").build(
        GuestModuleTests.guests + "/" + guest)
      modules[guest] = bytes
      return bytes
    }
  }
}
