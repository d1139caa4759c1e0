// Virtual time: what happens next, ties broken by age, so that one seed gives one run.

/// A binary heap of events.
package struct EventQueue<Event> {
  private var heap: [(nanos: UInt64, number: UInt64, event: Event)] = []
  private var number: UInt64 = 0

  package init() {}

  package var count: Int { heap.count }
  package var nextNanos: UInt64? { heap.first?.nanos }

  /// Returns the event's number, by which it is told from others when it comes.
  @discardableResult
  package mutating func add(_ event: Event, atNanos nanos: UInt64) -> UInt64 {
    number += 1
    heap.append((nanos, number, event))
    var index = heap.count - 1
    while index > 0, isEarlier(index, (index - 1) / 2) {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
    return number
  }

  package mutating func pop() -> (nanos: UInt64, number: UInt64, event: Event)? {
    guard !heap.isEmpty else { return nil }
    heap.swapAt(0, heap.count - 1)
    let first = heap.removeLast()
    var index = 0
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2] where child < heap.count && isEarlier(child, least) {
        least = child
      }
      guard least != index else { return first }
      heap.swapAt(index, least)
      index = least
    }
  }

  private func isEarlier(_ a: Int, _ b: Int) -> Bool {
    (heap[a].nanos, heap[a].number) < (heap[b].nanos, heap[b].number)
  }
}
