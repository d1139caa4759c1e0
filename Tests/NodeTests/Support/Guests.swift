// Guests that node tests publish.

import Wasm

/// Modules in WebAssembly text, small enough to read.
enum Guests {
  private static func module(_ functions: String, memoryPages: Int = 16) throws -> [UInt8] {
    try WatText.assemble(
      """
      (module
        (memory (export "memory") \(memoryPages))
        (func (export "roost_abi") (result i32) (i32.const 1))
        (func (export "roost_buffer") (param i32) (result i32) (i32.const 65536))
        \(functions))
      """)
  }

  /// Passes every second candidate of a batch, starting with the first.
  static func everySecond() throws -> [UInt8] {
    try module(
      """
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32)
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
          (i32.store8 (i32.add (local.get $out) (local.get $i)) (i32.and (i32.add (local.get $i) (i32.const 1)) (i32.const 1)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))
        (local.get $n))
      """)
  }

  static func constantFilter(_ verdict: Int) throws -> [UInt8] {
    try module(
      """
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (memory.fill (local.get $out) (i32.const \(verdict)) (local.get $n))
        (local.get $n))
      """)
  }

  static func trapping() throws -> [UInt8] {
    try module(
      """
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32) (unreachable))
      """)
  }

  /// Embeds bytes: the vector is (how many there are).
  static func sizes() throws -> [UInt8] {
    try module(
      """
      (func (export "roost_dimension") (result i32) (i32.const 1))
      (func (export "roost_embed_bytes") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32)
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
          (f32.store (i32.add (local.get $out) (i32.shl (local.get $i) (i32.const 2)))
            (f32.convert_i32_u (i32.sub
              (i32.load offset=4 (i32.add (local.get $in) (i32.shl (local.get $i) (i32.const 2))))
              (i32.load (i32.add (local.get $in) (i32.shl (local.get $i) (i32.const 2)))))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))
        (local.get $n))
      """, memoryPages: 160)
  }

  /// The score is the distance, so that the farthest of the candidates comes first.
  static func farthest() throws -> [UInt8] {
    try module(
      """
      (func (export "roost_score") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (memory.copy (local.get $out)
          (i32.and (i32.add
            (i32.add (local.get $in) (i32.load (i32.add (local.get $in) (i32.shl (local.get $n) (i32.const 2)))))
            (i32.const 15)) (i32.const -16))
          (i32.shl (local.get $n) (i32.const 2)))
        (local.get $n))
      """)
  }

  /// Sets "seen" to true; refuses an empty payload.
  static func marking() throws -> [UInt8] {
    try module(
      """
      (data (i32.const 2048) "\\01\\04seen\\02") (data (i32.const 2064) "it is empty")
      (func (export "roost_transform") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32) (local $at i32)
        (loop $next
          (local.set $at (i32.add (local.get $in) (i32.shl (local.get $i) (i32.const 2))))
          (if (i32.eq (i32.sub (i32.load offset=4 (local.get $at)) (i32.load (local.get $at))) (i32.const 1))
            (then
              (i32.store (local.get $out) (i32.const 1))
              (i32.store offset=4 (local.get $out) (i32.const 2064))
              (i32.store offset=8 (local.get $out) (i32.const 11)))
            (else
              (i32.store (local.get $out) (i32.const 0))
              (i32.store offset=4 (local.get $out) (i32.const 2048))
              (i32.store offset=8 (local.get $out) (i32.const 7))))
          (local.set $out (i32.add (local.get $out) (i32.const 12)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
        (local.get $n))
      """)
  }

  /// Passes everything when there is a value under the key.
  static func passesWithKey(_ key: String) throws -> [UInt8] {
    try WatText.assemble(
      """
      (module
        (import "roost" "kv_get" (func $get (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 16)
        (data (i32.const 1024) "\(key)")
        (func (export "roost_abi") (result i32) (i32.const 1))
        (func (export "roost_buffer") (param i32) (result i32) (i32.const 65536))
        (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
          (memory.fill (local.get $out)
            (i32.ge_s (call $get (i32.const 1024) (i32.const \(key.utf8.count)) (i32.const 2048) (i32.const 64)) (i32.const 0))
            (local.get $n))
          (local.get $n)))
      """)
  }

  /// Passes everything, after going round in a loop.
  static func busyFilter(rounds: Int) throws -> [UInt8] {
    try module(
      """
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i64)
        (loop $next
          (local.set $i (i64.add (local.get $i) (i64.const 1)))
          (i64.store (i32.const 1024) (local.get $i))
          (br_if $next (i64.lt_u (local.get $i) (i64.const \(rounds)))))
        (memory.fill (local.get $out) (i32.const 1) (local.get $n))
        (local.get $n))
      """)
  }

  /// Every vector is (factor, 0, …).
  static func embedder(dimension: Int, factor: Float) throws -> [UInt8] {
    try module(
      """
      (func (export "roost_dimension") (result i32) (i32.const \(dimension)))
      (func (export "roost_embed") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32)
        (memory.fill (local.get $out) (i32.const 0) (i32.mul (local.get $n) (i32.const \(dimension * 4))))
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
          (f32.store (i32.add (local.get $out) (i32.mul (local.get $i) (i32.const \(dimension * 4)))) (f32.const \(factor)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))
        (local.get $n))
      """)
  }
}
