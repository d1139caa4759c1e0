// Steps that change shapes or move elements. What depends on sizes alone is computed while planning.

extension Plan {
  /// Constant integers of an input, or of an attribute where older operator sets have one.
  private func integers(_ operation: Operation, _ index: Int, _ name: StaticString) throws(GuestError)
    -> [Int]?
  {
    guard let id = optionalInput(operation, index) else { return operation.ints(name) }
    guard let constant = values[id].constant else {
      throw operation.refused(" has sizes that depend on more than the sizes of the input")
    }
    return constant.ints
  }

  func emitShape(_ operation: Operation) throws(GuestError) {
    let y = operation.outputs[0]
    switch operation.type {
    case .constant: return try emitConstant(operation)
    case .shape:
      let shape = values[try input(operation, 0)].shape
      let (start, end) = (operation.int("start", 0), operation.int("end", shape.count))
      let first = min(max(start < 0 ? start + shape.count : start, 0), shape.count)
      let last = min(max(end < 0 ? end + shape.count : end, first), shape.count)
      return setInts(Array(shape[first..<last]), y)
    case .constantOfShape:
      guard let shape = try integers(operation, 0, "shape") else {
        throw operation.refused(" lacks an input")
      }
      let count = try checkedCount(shape, operation)
      let value = operation.node.attribute("value")?.tensor ?? Constant(shape: [1], floats: [0])
      guard value.count == 1 else { throw operation.refused(" has a value that is not one number") }
      let constant =
        value.isFloat
        ? Constant(shape: shape, floats: [Float](repeating: value.float(0), count: count))
        : Constant(shape: shape, ints: [Int64](repeating: Int64(value.int(0)), count: count))
      return setConstant(constant, y)
    case .range: return try emitRange(operation)
    case .cast: return try emitCast(operation)
    default: break
    }
    // Views.
    let x = try plain(try input(operation, 0))
    let shape = values[x].shape
    switch operation.type {
    case .reshape: try view(x, y, shape: try reshaped(operation, shape))
    case .flatten:
      let axis = operation.int("axis", 1)
      guard axis >= -shape.count, axis <= shape.count else {
        throw operation.refused(" has an axis that is not there")
      }
      let at = axis < 0 ? axis + shape.count : axis
      try view(x, y, shape: [elementCount(Array(shape[..<at])), elementCount(Array(shape[at...]))])
    case .squeeze:
      let axes = try integers(operation, 1, "axes").map { (axes) throws(GuestError) in
        try axes.map { (axis) throws(GuestError) in try dimension(axis, rank: shape.count, operation) }
      }
      var kept: [Int] = []
      for (index, size) in shape.enumerated() {
        if axes.map({ $0.contains(index) }) ?? (size == 1) {
          guard size == 1 else { throw operation.refused(" is to drop a dimension of another size than 1") }
        } else {
          kept.append(size)
        }
      }
      try view(x, y, shape: kept)
    case .unsqueeze:
      guard let axes = try integers(operation, 1, "axes") else { throw operation.refused(" has no axes") }
      let rank = shape.count + axes.count
      let places = try axes.map { (axis) throws(GuestError) in try dimension(axis, rank: rank, operation) }
      var (result, next): ([Int], Int) = ([], 0)
      for index in 0..<rank {
        if places.contains(index) {
          result.append(1)
        } else {
          guard next < shape.count else { throw operation.refused(" names an axis twice") }
          result.append(shape[next])
          next += 1
        }
      }
      try view(x, y, shape: result)
    default: try view(x, y, shape: shape)
    }
  }

  private func checkedCount(_ shape: [Int], _ operation: Operation) throws(GuestError) -> Int {
    var count = 1
    for size in shape {
      guard size >= 0, size == 0 || count <= OnnxFile.elementsMax / 4 / size else {
        throw operation.refused(" has a result that is too large")
      }
      count *= size
    }
    return count
  }

  private func emitConstant(_ operation: Operation) throws(GuestError) {
    guard let attribute = operation.node.attributes.first else { throw operation.refused(" has no value") }
    let y = operation.outputs[0]
    if let tensor = attribute.tensor { return setConstant(tensor, y) }
    if attribute.name.equals("value_float") {
      return setConstant(Constant(shape: [], floats: [attribute.float]), y)
    }
    if attribute.name.equals("value_int") {
      return setConstant(Constant(shape: [], ints: [attribute.int]), y)
    }
    if attribute.name.equals("value_floats") {
      return setConstant(Constant(shape: [attribute.floats.count], floats: attribute.floats), y)
    }
    guard attribute.name.equals("value_ints") else {
      throw operation.refused(" is of a kind that is not supported")
    }
    setConstant(Constant(shape: [attribute.ints.count], ints: attribute.ints), y)
  }

  private func emitRange(_ operation: Operation) throws(GuestError) {
    var bounds: [Constant] = []
    for index in 0..<3 {
      guard let constant = values[try input(operation, index)].constant, constant.count == 1 else {
        throw operation.refused(" has a bound that depends on more than sizes")
      }
      bounds.append(constant)
    }
    let (start, end, step) = (bounds[0].float(0), bounds[1].float(0), bounds[2].float(0))
    let count = step == 0 ? -1 : max(0, integer(((end - start) / step).rounded(.up)))
    guard count >= 0, count <= 1 << 20 else { throw operation.refused(" has a result that is too large") }
    let constant =
      bounds[0].isFloat
      ? Constant(shape: [count], floats: (0..<count).map { start + Float($0) * step })
      : Constant(
        shape: [count],
        ints: (0..<count).map { Int64(bounds[0].int(0)) &+ Int64($0) &* Int64(bounds[2].int(0)) })
    setConstant(constant, operation.outputs[0])
  }

  private func emitCast(_ operation: Operation) throws(GuestError) {
    let (x, y) = (try input(operation, 0), operation.outputs[0])
    let value = values[x]
    guard let type = ElementType(rawValue: operation.int("to", 0)) else {
      throw operation.refused(" to this type is not supported")
    }
    if let constant = value.constant?.viewed(shape: value.shape, isFloat: type.isFloat), type != .bool {
      return setConstant(constant, y)
    }
    if type.isFloat == value.isFloat && type != .bool {
      values[y] = Value(
        shape: value.shape, isFloat: value.isFloat, isChannelsLast: value.isChannelsLast, root: value.root)
      return
    }
    let count = value.count
    try add([x], y, shape: value.shape, isFloat: type.isFloat, isChannelsLast: value.isChannelsLast) {
      (at) throws(GuestError) in
      if type.isFloat {
        for index in 0..<count { at.floats(y)[index] = Float(at.ints(x)[index]) }
      } else if type == .bool {
        for index in 0..<count {
          let isTrue = value.isFloat ? at.floats(x)[index] != 0 : at.ints(x)[index] != 0
          at.ints(y)[index] = isTrue ? 1 : 0
        }
      } else {
        for index in 0..<count { at.ints(y)[index] = Int32(integer(at.floats(x)[index])) }
      }
    }
  }

  private func reshaped(_ operation: Operation, _ shape: [Int]) throws(GuestError) -> [Int] {
    guard var wanted = try integers(operation, 1, "shape") else { throw operation.refused(" has no shape") }
    var (open, count): (Int?, Int) = (nil, 1)
    for index in 0..<wanted.count {
      if wanted[index] == 0, operation.int("allowzero", 0) == 0 {
        guard index < shape.count else { throw operation.refused(" keeps a dimension that is not there") }
        wanted[index] = shape[index]
      }
      if wanted[index] == -1 {
        guard open == nil else { throw operation.refused(" leaves two dimensions open") }
        open = index
      } else {
        guard wanted[index] >= 0, wanted[index] == 0 || count <= OnnxFile.elementsMax / wanted[index] else {
          throw operation.refused(" has a result that is too large")
        }
        count *= wanted[index]
      }
    }
    if let open {
      guard count > 0, elementCount(shape) % count == 0 else {
        throw operation.refused(" leaves a dimension open that no size fits")
      }
      wanted[open] = elementCount(shape) / count
    }
    return wanted
  }

  // MARK: Moving elements

  func emitMovement(_ operation: Operation) throws(GuestError) {
    switch operation.type {
    case .transpose: try emitTranspose(operation)
    case .concat: try emitConcat(operation)
    case .slice: try emitSlice(operation)
    case .split: try emitSplit(operation)
    case .gather: try emitGather(operation)
    case .expand:
      let x = try plain(try input(operation, 0))
      guard let wanted = try integers(operation, 1, "shape") else { throw operation.refused(" has no shape") }
      _ = try checkedCount(wanted, operation)
      let shape = try broadcast(values[x].shape, wanted)
      try move(x, operation.outputs[0], shape: shape, from: broadcastStrides(values[x].shape, to: shape))
    default: try emitPad(operation)
    }
  }

  /// Copies elements of x at `from` strides to y in plain order.
  private func move(
    _ x: Int, _ y: Int, shape: [Int], from strides: [Int], offset: Int = 0
  ) throws(GuestError) {
    let movement = Movement(shape: shape, from: strides, to: rowMajorStrides(shape), fromOffset: offset)
    try add([x], y, shape: shape, isFloat: values[x].isFloat) { (at) throws(GuestError) in
      movement.run(from: at.words(x), to: at.words(y))
    }
  }

  private func emitTranspose(_ operation: Operation) throws(GuestError) {
    let (x, y) = (try input(operation, 0), operation.outputs[0])
    let value = values[x]
    let order = operation.ints("perm") ?? (0..<value.shape.count).reversed()
    guard order.sorted() == Array(0..<value.shape.count) else {
      throw operation.refused(" has an order that does not fit its input")
    }
    let shape = order.map { value.shape[$0] }
    let places = value.isChannelsLast ? order.map { [0, 3, 1, 2][$0] } : order
    let moving = places.filter { value.layout[$0] > 1 }
    if moving == moving.sorted(), value.constant == nil {
      values[y] = Value(shape: shape, isFloat: value.isFloat, root: value.root)
      return
    }
    try permute(x, y, shape: shape, order: places, from: value.layout)
  }

  private func emitConcat(_ operation: Operation) throws(GuestError) {
    var parts: [Int] = []
    for index in 0..<operation.inputs.count { parts.append(try input(operation, index)) }
    guard let first = parts.first else { throw operation.refused(" lacks an input") }
    let isLast = parts.contains { values[$0].isChannelsLast }
    parts = try parts.map { (id) throws(GuestError) in isLast ? try channelsLast(id) : try plain(id) }
    var shape = values[first].shape
    let axis = try dimension(operation.int("axis", 0), rank: shape.count, operation)
    shape[axis] = 0
    for part in parts {
      var other = values[part].shape
      guard other.count == shape.count, values[part].isFloat == values[first].isFloat else {
        throw operation.refused(" has parts that do not fit together")
      }
      let size = other[axis]
      other[axis] = shape[axis]
      guard other == shape, size <= OnnxFile.elementsMax - shape[axis] else {
        throw operation.refused(" has parts that do not fit together")
      }
      shape[axis] += size
    }
    let layout = isLast ? [shape[0], shape[2], shape[3], shape[1]] : shape
    let strides = rowMajorStrides(layout)
    let place = isLast ? [0, 3, 1, 2][axis] : axis
    var (movements, offset): ([Movement], Int) = ([], 0)
    for part in parts {
      let own = values[part].layout
      movements.append(Movement(shape: own, from: rowMajorStrides(own), to: strides, toOffset: offset))
      offset += own[place] * strides[place]
    }
    let (y, sources) = (operation.outputs[0], parts)
    try add(parts, y, shape: shape, isFloat: values[first].isFloat, isChannelsLast: isLast) {
      (at) throws(GuestError) in
      for (part, movement) in zip(sources, movements) { movement.run(from: at.words(part), to: at.words(y)) }
    }
  }

  private func emitSlice(_ operation: Operation) throws(GuestError) {
    let x = try plain(try input(operation, 0))
    guard let starts = try integers(operation, 1, "starts"), let ends = try integers(operation, 2, "ends")
    else {
      throw operation.refused(" has no bounds")
    }
    let axes = try integers(operation, 3, "axes") ?? Array(0..<starts.count)
    let steps = try integers(operation, 4, "steps") ?? axes.map { _ in 1 }
    guard starts.count == ends.count, axes.count == starts.count, steps.count == starts.count else {
      throw operation.refused(" has bounds that do not fit together")
    }
    var shape = values[x].shape
    var (strides, offset, sliced): ([Int], Int, [Int]) = (rowMajorStrides(shape), 0, [])
    for (index, axis) in axes.enumerated() {
      let at = try dimension(axis, rank: shape.count, operation)
      guard !sliced.contains(at) else { throw operation.refused(" names an axis twice") }
      sliced.append(at)
      let (size, step) = (values[x].shape[at], steps[index])
      guard step != 0, (-65_536...65_536).contains(step) else {
        throw operation.refused(" has a step that is not supported")
      }
      // Clamped as ONNX says: to 0...size going up, to −1...size − 1 going down.
      let (low, high) = step > 0 ? (0, size) : (-1, size - 1)
      func bound(_ value: Int) -> Int {
        let value = value < 0 ? value + size : value
        return min(max(value, low), high)
      }
      let end = step < 0 && ends[index] < -size ? -1 : bound(ends[index])
      let (from, to) = (bound(starts[index]), end)
      shape[at] = step > 0 ? max(0, (to - from + step - 1) / step) : max(0, (from - to - step - 1) / -step)
      offset += max(0, from) * strides[at]
      strides[at] *= step
    }
    try move(x, operation.outputs[0], shape: shape, from: strides, offset: offset)
  }

  private func emitSplit(_ operation: Operation) throws(GuestError) {
    let x = try plain(try input(operation, 0))
    let shape = values[x].shape
    let axis = try dimension(operation.int("axis", 0), rank: shape.count, operation)
    let count = operation.outputs.count
    let even = (shape[axis] + count - 1) / count
    let sizes =
      try integers(operation, 1, "split") ?? (0..<count).map { min(even, max(0, shape[axis] - $0 * even)) }
    guard sizes.count == count, sizes.allSatisfy({ (0...shape[axis]).contains($0) }),
      sizes.reduce(0, +) == shape[axis]
    else { throw operation.refused(" has sizes that do not fit its input") }
    let strides = rowMajorStrides(shape)
    var start = 0
    for (size, output) in zip(sizes, operation.outputs) {
      var part = shape
      part[axis] = size
      if output >= 0 { try move(x, output, shape: part, from: strides, offset: start * strides[axis]) }
      start += size
    }
  }

  private func emitGather(_ operation: Operation) throws(GuestError) {
    let (data, indices) = (try plain(try input(operation, 0)), try plain(try input(operation, 1)))
    let shape = values[data].shape
    guard !values[indices].isFloat, !shape.isEmpty else {
      throw operation.refused(" has indices that are not integers")
    }
    let axis = try dimension(operation.int("axis", 0), rank: shape.count, operation)
    let (outer, size) = (elementCount(Array(shape[..<axis])), shape[axis])
    let width = elementCount(Array(shape[(axis + 1)...]))
    let (count, y) = (values[indices].count, operation.outputs[0])
    // Large tables stay as they are in the file.
    let table = values[data].isFloat ? values[data].constant : nil
    try add(
      table == nil ? [data, indices] : [indices], y,
      shape: Array(shape[..<axis]) + values[indices].shape + Array(shape[(axis + 1)...]),
      isFloat: values[data].isFloat
    ) { (at) throws(GuestError) in
      let ids = at.ints(indices)
      for block in 0..<outer {
        for index in 0..<count {
          let id = Int(ids[index]) < 0 ? Int(ids[index]) + size : Int(ids[index])
          guard id >= 0, id < size else {
            throw GuestError("an index lies outside the table that it is looked up in")
          }
          let to = (block * count + index) * width
          let from = (block * size + id) * width
          if let table {
            table.copyFloats(from: from, count: width, to: at.floats(y) + to)
          } else {
            (at.words(y) + to).update(from: at.words(data) + from, count: width)
          }
        }
      }
    }
  }

  private func emitPad(_ operation: Operation) throws(GuestError) {
    let mode = operation.node.attribute("mode")?.string ?? Bytes("constant")
    guard mode.equals("constant") else {
      throw operation.refused(" with other than a constant is not supported")
    }
    let x = try input(operation, 0)
    let value = values[x]
    let rank = value.shape.count
    guard let pads = try integers(operation, 1, "pads"), pads.count == 2 * rank,
      optionalInput(operation, 3) == nil,
      pads.allSatisfy({ (0...4096).contains($0) }), value.isFloat
    else { throw operation.refused(" has sizes that are not supported") }
    let fill = try scalar(operation, 2, operation.float("value", 0))
    var (shape, places) = (value.shape, Array(0..<rank))
    for index in 0..<rank { shape[index] += pads[index] + pads[index + rank] }
    if value.isChannelsLast { places = [0, 2, 3, 1] }
    let strides = rowMajorStrides(places.map { shape[$0] })
    var offset = 0
    for (index, place) in places.enumerated() { offset += pads[place] * strides[index] }
    let movement = Movement(
      shape: value.layout, from: rowMajorStrides(value.layout), to: strides, toOffset: offset)
    let (y, count) = (operation.outputs[0], elementCount(shape))
    try add([x], y, shape: shape, isChannelsLast: value.isChannelsLast) { (at) throws(GuestError) in
      at.floats(y).update(repeating: fill, count: count)
      movement.run(from: at.words(x), to: at.words(y))
    }
  }
}
