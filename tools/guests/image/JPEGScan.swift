// Reads one scan of a JPEG: all coefficients of a baseline file, or a part of them of a progressive one (T.81,
// annexes F and G).

struct JPEGScan {
  private let decoder: JPEGDecoder
  private var bits: JPEGBits
  private let first: Int
  private let last: Int
  private let high: Int
  private let low: Int
  /// Blocks that still have nothing in this band.
  private var skippedBlocks = 0
  private let transform = InverseDCT()
  /// The last DC coefficient of each component.
  private let predictions = JPEGScan.predictionRoom

  nonisolated(unsafe) private static let predictionRoom = UnsafeMutablePointer<Int32>.allocate(capacity: 4)

  init(_ decoder: JPEGDecoder, _ data: Bytes, first: Int, last: Int, high: Int, low: Int) {
    self.decoder = decoder
    bits = JPEGBits(data)
    (self.first, self.last, self.high, self.low) = (first, last, high, low)
  }

  /// Reads the components with these numbers; returns the bytes that the scan takes.
  mutating func read(_ chosen: [Int]) throws(GuestError) -> Int {
    if decoder.isProgressive {
      guard first <= last, last < 64, high <= 13, low <= 13, high == 0 || high == low + 1,
        first == 0 ? last == 0 : chosen.count == 1
      else { throw JPEGDecoder.damaged() }
    }
    let isInterleaved = chosen.count > 1
    let only = decoder.components[chosen[0]]
    let (unitsWide, unitsHigh) =
      isInterleaved ? (decoder.unitsWide, decoder.unitsHigh) : (only.blocksWide, only.blocksHigh)
    predictions.update(repeating: 0, count: 4)
    var left = decoder.restartInterval
    for row in 0..<unitsHigh {
      for column in 0..<unitsWide {
        if decoder.restartInterval > 0 {
          if left == 0 {
            guard bits.restart() else { throw JPEGDecoder.damaged() }
            predictions.update(repeating: 0, count: 4)
            skippedBlocks = 0
            left = decoder.restartInterval
          }
          left -= 1
        }
        for index in chosen {
          let component = decoder.components[index]
          guard isInterleaved else {
            try readBlock(index, component, row, column)
            continue
          }
          for v in 0..<component.v {
            for h in 0..<component.h {
              try readBlock(index, component, row * component.v + v, column * component.h + h)
            }
          }
        }
      }
      // A few made-up bytes lie between the last code and the marker behind it.
      guard bits.missing <= 16 else { throw GuestError("the JPEG is cut short") }
    }
    return bits.position
  }

  @inline(__always)
  private mutating func readBlock(
    _ index: Int, _ component: JPEGComponent, _ row: Int, _ column: Int
  ) throws(GuestError) {
    if let coefficients = component.coefficients {
      let block = coefficients + (row * component.stride / 8 + column) * 64
      if first == 0 { return try readDC(index, component, block) }
      return try high == 0 ? readAC(component, block) : refineAC(component, block)
    }
    let table = decoder.quantizer(component)
    let (dc, ac) = (try decoder.codes.dc(component.dcCode), try decoder.codes.ac(component.acCode))
    let end = try readAll(index, dc, ac, table)
    transform.run(
      last: end, to: component.samples + row * 8 * component.stride + column * 8,
      stride: component.stride)
  }

  /// Reads the 64 coefficients of a block into the transform; returns the number of the last that is not zero.
  @inline(__always)
  private mutating func readAll(
    _ index: Int, _ dc: HuffmanCode, _ ac: HuffmanCode, _ table: UnsafeMutablePointer<Int32>
  ) throws(GuestError) -> Int {
    let block = transform.block
    transform.clear()
    bits.refill()
    let size = bits.symbol(dc)
    guard size >= 0, size <= 11 else { throw JPEGDecoder.damaged() }
    if size > 0 { predictions[index] &+= bits.signed(size) }
    block[0] = predictions[index] &* table[0]
    let zigzag = transform.zigzag
    var (k, end) = (1, 0)
    while k < 64 {
      bits.refill()
      let entry = ac.values[bits.peek(HuffmanCodes.fastBits)]
      if entry != 0 {
        k &+= Int(entry >> 4) & 15
        bits.skip(Int(entry & 15))
        let place = Int(zigzag[k])
        block[place] = (entry >> 8) &* table[place]
        end = k
        k &+= 1
        continue
      }
      let symbol = bits.symbol(ac)
      guard symbol >= 0 else { throw JPEGDecoder.damaged() }
      let size = symbol & 15
      if size == 0 {
        guard symbol == 0xf0 else { break }
        k &+= 16
        continue
      }
      k &+= symbol >> 4
      let place = Int(zigzag[k])
      block[place] = bits.signed(size) &* table[place]
      end = k
      k &+= 1
    }
    return end
  }

  // MARK: Progressive

  private mutating func readDC(
    _ index: Int, _ component: JPEGComponent, _ block: UnsafeMutablePointer<Int16>
  ) throws(GuestError) {
    bits.refill()
    guard high == 0 else {
      if bits.take(1) == 1 { block[0] |= 1 << Int16(low) }
      return
    }
    let size = bits.symbol(try decoder.codes.dc(component.dcCode))
    guard size >= 0, size <= 11 else { throw JPEGDecoder.damaged() }
    if size > 0 { predictions[index] &+= bits.signed(size) }
    block[0] = Int16(truncatingIfNeeded: predictions[index] &<< Int32(low))
  }

  private mutating func readAC(
    _ component: JPEGComponent, _ block: UnsafeMutablePointer<Int16>
  ) throws(GuestError) {
    guard skippedBlocks == 0 else {
      skippedBlocks -= 1
      return
    }
    let code = try decoder.codes.ac(component.acCode)
    var k = first
    while k <= last {
      bits.refill()
      let symbol = bits.symbol(code)
      guard symbol >= 0 else { throw JPEGDecoder.damaged() }
      let (run, size) = (symbol >> 4, symbol & 15)
      if size == 0 {
        if run < 15 {
          skippedBlocks = (1 << run) - 1
          if run > 0 { skippedBlocks += bits.take(run) }
          return
        }
        k += 16
        continue
      }
      k += run
      block[Int(transform.zigzag[k])] = Int16(truncatingIfNeeded: bits.signed(size) &<< Int32(low))
      k += 1
    }
  }

  /// Adds a bit to coefficients that are not zero, and sets new ones to plus or minus one bit.
  private mutating func refineAC(
    _ component: JPEGComponent, _ block: UnsafeMutablePointer<Int16>
  ) throws(GuestError) {
    let bit = Int16(1) << Int16(low)
    var k = first
    if skippedBlocks == 0 {
      let code = try decoder.codes.ac(component.acCode)
      while k <= last {
        bits.refill()
        let symbol = bits.symbol(code)
        guard symbol >= 0 else { throw JPEGDecoder.damaged() }
        var run = symbol >> 4
        var value: Int16 = 0
        if symbol & 15 == 0 {
          if run < 15 {
            skippedBlocks = 1 << run
            if run > 0 { skippedBlocks += bits.take(run) }
            break
          }
        } else {
          guard symbol & 15 == 1 else { throw JPEGDecoder.damaged() }
          value = bits.take(1) == 1 ? bit : -bit
        }
        // Passes `run` zeros, refining what is not zero on the way.
        while k <= last {
          let place = Int(transform.zigzag[k])
          k += 1
          if block[place] != 0 {
            refine(block + place, bit)
          } else if run == 0 {
            block[place] = value
            break
          } else {
            run -= 1
          }
        }
      }
    }
    guard skippedBlocks > 0 else { return }
    while k <= last {
      let place = Int(transform.zigzag[k])
      if block[place] != 0 { refine(block + place, bit) }
      k += 1
    }
    skippedBlocks -= 1
  }

  @inline(__always)
  private mutating func refine(_ coefficient: UnsafeMutablePointer<Int16>, _ bit: Int16) {
    bits.refill()
    guard bits.take(1) == 1, coefficient.pointee & bit == 0 else { return }
    coefficient.pointee = coefficient.pointee > 0 ? coefficient.pointee &+ bit : coefficient.pointee &- bit
  }
}
