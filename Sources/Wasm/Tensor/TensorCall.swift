// One call of the tensor capability: reads its arguments out of guest memory and hands out only runs of
// bytes that lie inside it. What is wrong ends the guest with a trap that names the function.

import CKernels
import CWasmtime

/// Why a call is refused.
struct TensorFault: Error {
  var text: String
  init(_ text: String) { self.text = text }
}

/// The description of a call, copied out of guest memory: what a call writes may lie over its description.
struct CallWords {
  private var words = InlineArray<17, UInt32>(repeating: 0)

  init(bytes: UnsafeRawBufferPointer, count: Int) {
    precondition(count <= words.count && bytes.count >= count * 4)
    for index in 0..<count { words[index] = bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self) }
  }

  @inline(__always)
  subscript(index: Int) -> Int { Int(words[index]) }
}

/// The arguments of a call, and the guest's memory as it is during the call: guests run no threads, so
/// nothing grows or changes it meanwhile.
struct TensorCall {
  /// Multiply-adds and elements of one call: deadlines are checked between calls.
  static let operationsMax = 1 << 30
  /// Bytes of scratch of one call.
  static let scratchBytesMax = 64 << 20

  let memory: GuestMemory
  let slots: UnsafeMutablePointer<wasmtime_val_raw_t>
  let scratch: TensorScratch
  let kernel: UnsafePointer<roost_tensor_kernel>

  func count(_ slot: Int) -> Int { Int(UInt32(bitPattern: slots[slot].i32)) }

  /// The `count` words of a call's description, at the address in slot 0.
  func words(_ count: Int) throws(TensorFault) -> CallWords {
    guard let bytes = memory.bytes(at: UInt32(bitPattern: slots[0].i32), count: count * 4) else {
      throw TensorFault("the description of the call lies outside the memory")
    }
    return CallWords(bytes: UnsafeRawBufferPointer(bytes), count: count)
  }

  /// `count` elements of four bytes at an address that is a multiple of four.
  func floats(_ address: Int, _ count: Int, _ what: String) throws(TensorFault) -> UnsafeMutablePointer<Float>
  {
    UnsafeMutableRawPointer(try bytes(address, try product(count, 4), what)).assumingMemoryBound(
      to: Float.self)
  }

  func optionalFloats(
    _ address: Int, _ count: Int, _ what: String
  ) throws(TensorFault) -> UnsafeMutablePointer<Float>? {
    address == 0 ? nil : try floats(address, count, what)
  }

  func bytes(_ address: Int, _ count: Int, _ what: String) throws(TensorFault) -> UnsafeMutableRawPointer {
    guard address % 4 == 0 else { throw TensorFault("\(what) at \(address) is not a multiple of 4") }
    guard let start = memory.bytes(at: UInt32(truncatingIfNeeded: address), count: count)?.baseAddress else {
      throw TensorFault("\(what), \(count) bytes at \(address), lies outside the memory")
    }
    return start
  }

  /// Floats that rows of `width` with `stride` cover.
  func extent(rows: Int, width: Int, stride: Int, _ what: String) throws(TensorFault) -> Int {
    guard stride >= width else {
      throw TensorFault("\(what) has a stride of \(stride) below its width \(width)")
    }
    return rows == 0 ? 0 : try sum(try product(rows - 1, stride), width)
  }

  func product(_ factors: Int...) throws(TensorFault) -> Int {
    var result = 1
    for factor in factors {
      let (value, overflow) = result.multipliedReportingOverflow(by: factor)
      guard !overflow else { throw TensorFault("the sizes are too large") }
      result = value
    }
    return result
  }

  func sum(_ a: Int, _ b: Int) throws(TensorFault) -> Int {
    let (value, overflow) = a.addingReportingOverflow(b)
    guard !overflow else { throw TensorFault("the sizes are too large") }
    return value
  }

  /// Refuses a call that would hold the thread for too long.
  func limit(_ operations: Int) throws(TensorFault) {
    guard operations <= Self.operationsMax else {
      throw TensorFault("\(operations) operations in one call, the limit is \(Self.operationsMax)")
    }
  }

  func weights(_ value: Int) throws(TensorFault) -> Int32 {
    guard (1...3).contains(value) else { throw TensorFault("unknown weights \(value)") }
    return Int32(value)
  }

  func activation(_ value: Int) throws(TensorFault) -> Int32 {
    guard (0...5).contains(value) else { throw TensorFault("unknown activation \(value)") }
    return Int32(value)
  }

  /// Scratch for this call; gone with the next one.
  func reserve(_ bytes: Int) throws(TensorFault) -> UnsafeMutableRawPointer {
    guard bytes <= Self.scratchBytesMax else {
      throw TensorFault("it needs \(bytes) bytes of scratch, the limit is \(Self.scratchBytesMax)")
    }
    return scratch.reserve(bytes)
  }

  func packed(_ weights: Int32, _ address: Int, inputs: Int, outputs: Int) throws(TensorFault)
    -> UnsafeRawPointer
  {
    UnsafeRawPointer(
      try bytes(address, try packedBytes(weights, inputs: inputs, outputs: outputs), "packed weights"))
  }

  func packedBytes(_ weights: Int32, inputs: Int, outputs: Int) throws(TensorFault) -> Int {
    // So that neither sizes nor sums of 8-bit products overflow in the kernels.
    guard try product(inputs, outputs) <= Int(Int32.max), inputs <= 1 << 16, outputs <= 1 << 24 else {
      throw TensorFault("weights of \(inputs) times \(outputs) are too large")
    }
    return roost_packed_bytes(weights, inputs, outputs)
  }
}

/// Room for what a call needs besides its tensors; belongs to one instance.
final class TensorScratch {
  private var block = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  deinit { block.deallocate() }

  /// At least `count` bytes, a multiple of 64 in address.
  func reserve(_ count: Int) -> UnsafeMutableRawPointer {
    if let start = block.baseAddress, block.count >= count { return start }
    block.deallocate()
    block = .allocate(byteCount: max(count, 64 << 10), alignment: 64)
    return block.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 64).unsafelyUnwrapped
  }
}
