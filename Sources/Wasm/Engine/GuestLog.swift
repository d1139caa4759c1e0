// The import `roost.log`. Lines are capped in length and number, so that a guest can neither flood the log
// nor spend the host's time.

import CWasmtime
import Core

/// The log of one instance; confined, like the instance, to one thread at a time.
final class GuestLog {
  private let module: String
  private let sink: WasmLog
  private let lineBytesMax: Int
  /// Lines that the current call may still write.
  var linesLeft = 0

  init(module: String, sink: @escaping WasmLog, lineBytesMax: Int) {
    self.module = module
    self.sink = sink
    self.lineBytesMax = lineBytesMax
  }

  private func write(level: Int32, line: UnsafeRawBufferPointer) {
    guard linesLeft > 0 else { return }
    linesLeft -= 1
    sink(WasmLogLevel(rawValue: level) ?? .info, module, printable(line, atMost: lineBytesMax))
  }

  /// Defines `roost.log(level, address, length)`. Bytes outside the memory are ignored: a log line is
  /// not worth failing a query.
  static func define(in linker: OpaquePointer) {
    defineImport(GuestABI.importModule, GuestABI.log, GuestABI.logType, in: linker) {
      _, caller, slots, count in
      guard count >= 3, let (host, memory) = GuestHost.calling(caller), host.capabilities.contains(.log),
        let line = memory.bytes(
          at: UInt32(bitPattern: slots[1].i32), count: Int(UInt32(bitPattern: slots[2].i32)))
      else { return nil }
      host.log.write(level: slots[0].i32, line: UnsafeRawBufferPointer(line))
      return nil
    }
  }
}
