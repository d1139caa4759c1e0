// Loops over several dimensions: moving elements from one order to another, and calling arithmetic row by row with
// operands that are repeated along some dimensions.

/// Copies elements of four bytes from places with one set of strides to places with another.
struct Movement {
  private(set) var shape: [Int]
  private var from: [Int]
  private var to: [Int]
  var fromOffset = 0
  var toOffset = 0

  init(shape: [Int], from: [Int], to: [Int], fromOffset: Int = 0, toOffset: Int = 0) {
    let rows = Rows(shape: shape, strides: [from, to])
    self.shape = rows.shape
    (self.from, self.to) = (rows.strides[0], rows.strides[1])
    (self.fromOffset, self.toOffset) = (fromOffset, toOffset)
    // Long rows are cheaper than short ones, unless those can be copied whole.
    let last = self.shape.count - 1
    if last > 0, self.shape[last] < self.shape[last - 1], self.from[last] != 1 || self.to[last] != 1 {
      self.shape.swapAt(last, last - 1)
      self.from.swapAt(last, last - 1)
      self.to.swapAt(last, last - 1)
    }
  }

  func run(from source: UnsafePointer<UInt32>, to target: UnsafeMutablePointer<UInt32>) {
    let last = shape.count - 1
    let (count, a, b) = (shape[last], from[last], to[last])
    Rows(shape: shape, strides: [from, to], isMerged: true).forEach { (offsets) throws(Never) in
      let (x, y) = (source + fromOffset + offsets[0], target + toOffset + offsets[1])
      if a == 1 && b == 1 {
        y.update(from: x, count: count)
      } else {
        for index in 0..<count { y[index * b] = x[index * a] }
      }
    }
  }
}

/// The rows along the last dimension of operands with strides of their own.
struct Rows {
  /// At least one dimension; neighbours are merged where all operands allow it.
  private(set) var shape: [Int]
  private(set) var strides: [[Int]]

  init(shape: [Int], strides: [[Int]], isMerged: Bool = false) {
    (self.shape, self.strides) = (shape, strides)
    guard !isMerged else { return }
    (self.shape, self.strides) = ([], strides.map { _ in [] })
    for dimension in 0..<shape.count where shape[dimension] != 1 {
      let last = self.shape.count - 1
      var isJoined = last >= 0
      for operand in 0..<strides.count where isJoined {
        isJoined = self.strides[operand][last] == strides[operand][dimension] * shape[dimension]
      }
      if isJoined {
        self.shape[last] *= shape[dimension]
        for operand in 0..<strides.count { self.strides[operand][last] = strides[operand][dimension] }
      } else {
        self.shape.append(shape[dimension])
        for operand in 0..<strides.count { self.strides[operand].append(strides[operand][dimension]) }
      }
    }
    if self.shape.isEmpty {
      self.shape = [1]
      for operand in 0..<strides.count { self.strides[operand] = [0] }
    }
  }

  /// Calls `body` with the offset of each operand at the start of every row.
  @inline(__always)
  func forEach<E: Error>(_ body: ([Int]) throws(E) -> Void) throws(E) {
    guard !shape.contains(0) else { return }
    var index = [Int](repeating: 0, count: shape.count)
    var offsets = [Int](repeating: 0, count: strides.count)
    while true {
      try body(offsets)
      var dimension = shape.count - 2
      while dimension >= 0 {
        index[dimension] += 1
        for operand in 0..<strides.count { offsets[operand] += strides[operand][dimension] }
        if index[dimension] < shape[dimension] { break }
        for operand in 0..<strides.count {
          offsets[operand] -= strides[operand][dimension] * shape[dimension]
        }
        index[dimension] = 0
        dimension -= 1
      }
      if dimension < 0 { return }
    }
  }
}

/// The shape that operands are repeated to (ONNX, "Multidirectional Broadcasting").
func broadcast(_ a: [Int], _ b: [Int]) throws(GuestError) -> [Int] {
  var shape: [Int] = []
  let rank = max(a.count, b.count)
  for index in 0..<rank {
    let x = index + a.count >= rank ? a[index + a.count - rank] : 1
    let y = index + b.count >= rank ? b[index + b.count - rank] : 1
    guard x == y || x == 1 || y == 1 else {
      throw GuestError("the shapes of two operands do not fit together")
    }
    shape.append(x == 1 ? y : x)
  }
  return shape
}

/// The strides of an operand that is repeated to `shape`.
func broadcastStrides(_ operand: [Int], to shape: [Int]) -> [Int] {
  let own = rowMajorStrides(operand)
  return (0..<shape.count).map { index in
    let at = index + operand.count - shape.count
    return at >= 0 && operand[at] != 1 ? own[at] : 0
  }
}
