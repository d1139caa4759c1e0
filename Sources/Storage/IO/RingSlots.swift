// Who is told when an operation completes. The kernel carries a number (`user_data`) through each
// operation; it names a slot here, and the generation in its upper half tells a reused slot apart.

import Core

/// What to do with the result of an operation.
enum RingCompletion {
  case resume(UnsafeContinuation<Int32, Never>)
  case read(RingReadQueue, Int)
  case ignore
}

/// The operations that the kernel (or the backlog) holds. Used on one ring thread only.
struct RingSlots {
  private struct Slot {
    var completion = RingCompletion.ignore
    /// Keeps memory alive that the kernel reads or writes.
    var owner: AnyObject?
    var generation: UInt32 = 0
    var isLive = false
    /// May last for ever (accept, receive, sleep): cancelled when the ring ends.
    var isOpenEnded = false
    var isReceiving = false
  }

  /// The user data of the standing read of the wake-up descriptor.
  static let wakeUserData = UInt64.max

  private var slots: [Slot] = []
  private var free: [UInt32] = []
  private(set) var liveCount = 0
  /// Connections that wait for bytes.
  private(set) var receivingCount = 0

  mutating func claim(
    _ completion: RingCompletion, owner: AnyObject?, isOpenEnded: Bool, isReceiving: Bool = false
  ) -> UInt64 {
    let index: Int
    if let reused = free.popLast() {
      index = Int(reused)
    } else {
      index = slots.count
      slots.append(Slot())
    }
    slots[index].completion = completion
    slots[index].owner = owner
    slots[index].isLive = true
    slots[index].isOpenEnded = isOpenEnded
    slots[index].isReceiving = isReceiving
    liveCount += 1
    if isReceiving { receivingCount += 1 }
    return UInt64(slots[index].generation) << 32 | UInt64(index)
  }

  mutating func release(_ userData: UInt64) -> RingCompletion {
    let index = Int(userData & 0xffff_ffff)
    precondition(isLive(userData), "the kernel completed an operation that is not in flight")
    let completion = slots[index].completion
    slots[index].completion = .ignore
    slots[index].owner = nil
    slots[index].isLive = false
    // 31 bits, so that no slot's user data is that of the wake-up.
    slots[index].generation = (slots[index].generation &+ 1) & 0x7fff_ffff
    free.append(UInt32(index))
    liveCount -= 1
    if slots[index].isReceiving { receivingCount -= 1 }
    return completion
  }

  func isLive(_ userData: UInt64) -> Bool {
    let index = Int(userData & 0xffff_ffff)
    return index < slots.count && slots[index].isLive && UInt64(slots[index].generation) == userData >> 32
  }

  func openEnded() -> [UInt64] {
    slots.indices.filter { slots[$0].isLive && slots[$0].isOpenEnded }
      .map { UInt64(slots[$0].generation) << 32 | UInt64($0) }
  }
}
