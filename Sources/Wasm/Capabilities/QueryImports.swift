// The imports `roost.clock`, `roost.random` and `roost.kv_get`: what a guest may know of its query and its module.

import CWasmtime
import Core

enum QueryImports {
  static let clock = "clock"
  static let random = "random"
  static let keyValue = "kv_get"

  static let types: [String: FunctionType] = [
    clock: FunctionType([], [.i64]), random: FunctionType([.i64], [.i64]),
    keyValue: FunctionType([.i32, .i32, .i32, .i32], [.i32]),
  ]

  static func define(in linker: OpaquePointer) {
    for (name, type) in types {
      switch name {
      case clock:
        defineImport(GuestABI.importModule, name, type, in: linker) { _, caller, slots, _ in
          guard let (host, _) = GuestHost.calling(caller), host.capabilities.contains(.clock) else {
            return QueryImports.refusal(QueryImports.clock)
          }
          slots[0].i64 = host.nowMicros
          return nil
        }
      case random:
        defineImport(GuestABI.importModule, name, type, in: linker) { _, caller, slots, _ in
          guard let (host, _) = GuestHost.calling(caller), host.capabilities.contains(.random) else {
            return QueryImports.refusal(QueryImports.random)
          }
          slots[0].i64 = Int64(
            bitPattern: QueryImports.random(seed: host.seed, key: UInt64(bitPattern: slots[0].i64)))
          return nil
        }
      default:
        defineImport(GuestABI.importModule, name, type, in: linker) { _, caller, slots, _ in
          QueryImports.lookUp(caller, slots)
        }
      }
    }
  }

  /// The number of a key: an output of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). Depends on nothing else, so
  /// it is the same however candidates are batched and whichever thread asks.
  static func random(seed: UInt64, key: UInt64) -> UInt64 {
    var z = seed &+ (key &+ 1) &* 0x9e37_79b9_7f4a_7c15
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  private static func refusal(_ name: String) -> OpaquePointer? {
    let text = "called roost.\(name), which the module was not granted"
    return wasmtime_trap_new(text, text.utf8.count)
  }

  /// `kv_get(key, key length, target, capacity)`: the length of the value, −1 when there is none; as much of it as
  /// there is room for goes to the target.
  private static func lookUp(
    _ caller: OpaquePointer, _ slots: UnsafeMutablePointer<wasmtime_val_raw_t>
  ) -> OpaquePointer? {
    guard let (host, memory) = GuestHost.calling(caller) else { return refusal(keyValue) }
    func bytes(_ slot: Int) -> UnsafeMutableRawBufferPointer? {
      memory.bytes(
        at: UInt32(bitPattern: slots[slot].i32), count: Int(UInt32(bitPattern: slots[slot + 1].i32)))
    }
    guard let key = bytes(0), let target = bytes(2) else {
      let text = "called roost.\(keyValue) with addresses outside its memory"
      return wasmtime_trap_new(text, text.utf8.count)
    }
    guard host.capabilities.contains(.keyValue),
      let value = host.state.value(of: UnsafeRawBufferPointer(key))
    else {
      slots[0].i32 = -1
      return nil
    }
    UnsafeMutableRawBufferPointer(rebasing: target.prefix(value.count)).copyBytes(
      from: value.prefix(target.count))
    slots[0].i32 = Int32(value.count)
    return nil
  }
}
