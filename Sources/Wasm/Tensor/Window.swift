// A window that slides over an image: what convolutions and pooling share.

/// Images are [height × width × channels], channels last. What lies outside the image counts as zero for a
/// convolution and not at all for pooling.
struct Window {
  /// Words of a call that describe a window.
  static let wordCount = 10
  private static let sideMax = 1 << 16

  let height, width, channels: Int
  let kernelHeight, kernelWidth, stride, padTop, padLeft: Int
  let outHeight, outWidth: Int

  /// Height, width, channels, kernel height, kernel width, stride, padding above, padding on the left, output
  /// height, output width.
  init(_ word: CallWords, from start: Int) throws(TensorFault) {
    (height, width, channels) = (word[start], word[start + 1], word[start + 2])
    (kernelHeight, kernelWidth) = (word[start + 3], word[start + 4])
    (stride, padTop, padLeft) = (word[start + 5], word[start + 6], word[start + 7])
    (outHeight, outWidth) = (word[start + 8], word[start + 9])
    for index in start..<start + Self.wordCount where word[index] > Self.sideMax {
      throw TensorFault("a side of \(word[index]), the limit is \(Self.sideMax)")
    }
    guard kernelHeight > 0, kernelWidth > 0, stride > 0 else {
      throw TensorFault("a filter of \(kernelHeight) x \(kernelWidth) with stride \(stride)")
    }
  }

  func inputCount(_ call: TensorCall) throws(TensorFault) -> Int { try call.product(height, width, channels) }

  /// Whether each output looks at just the pixel at its own place.
  var isPointwise: Bool {
    kernelHeight == 1 && kernelWidth == 1 && stride == 1 && padTop == 0 && padLeft == 0 && outHeight == height
      && outWidth == width
  }

  /// Height and width of what the windows cover, from the padding above and on the left on.
  var reach: (height: Int, width: Int) {
    (max(0, outHeight - 1) * stride + kernelHeight, max(0, outWidth - 1) * stride + kernelWidth)
  }

  /// Writes the windows of one row of outputs: [outWidth × kernelHeight × kernelWidth × channels].
  func gather(row: Int, from image: UnsafePointer<Float>, into windows: UnsafeMutablePointer<Float>) {
    var to = windows
    for column in 0..<outWidth {
      for i in 0..<kernelHeight {
        let y = row * stride + i - padTop
        for j in 0..<kernelWidth {
          let x = column * stride + j - padLeft
          if (0..<height).contains(y) && (0..<width).contains(x) {
            to.update(from: image + (y * width + x) * channels, count: channels)
          } else {
            to.update(repeating: 0, count: channels)
          }
          to += channels
        }
      }
    }
  }

  func pool(isMean: Bool, from image: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>) {
    for row in 0..<outHeight {
      let rows =
        max(
          0, row * stride - padTop)..<max(
          0, min(height, row * stride - padTop + kernelHeight), row * stride - padTop)
      for column in 0..<outWidth {
        let left = column * stride - padLeft
        let columns = max(0, left)..<max(0, min(width, left + kernelWidth), left)
        let to = output + (row * outWidth + column) * channels
        to.update(repeating: isMean || rows.isEmpty || columns.isEmpty ? 0 : -.infinity, count: channels)
        for y in rows {
          for x in columns {
            let from = image + (y * width + x) * channels
            for channel in 0..<channels {
              to[channel] = isMean ? to[channel] + from[channel] : max(to[channel], from[channel])
            }
          }
        }
        let count = rows.count * columns.count
        if isMean && count > 1 {
          let share = 1 / Float(count)
          for channel in 0..<channels { to[channel] *= share }
        }
      }
    }
  }
}
