// Roost guest SDK: images in small neural networks (spec/wasm-tensor.md). Images are [height × width × channels],
// channels last. With the host's kernels when the module was granted the tensor capability, else with the
// module's own code.

/// A window that slides over an image.
public struct ImageWindow {
  public var height: Int
  public var width: Int
  public var channels: Int
  public var filterHeight: Int
  public var filterWidth: Int
  public var stride: Int
  public var padTop: Int
  public var padLeft: Int
  public var outHeight: Int
  public var outWidth: Int

  public init(
    height: Int, width: Int, channels: Int, filterHeight: Int, filterWidth: Int, stride: Int, padTop: Int,
    padLeft: Int, outHeight: Int, outWidth: Int
  ) {
    self.height = height
    self.width = width
    self.channels = channels
    self.filterHeight = filterHeight
    self.filterWidth = filterWidth
    self.stride = stride
    self.padTop = padTop
    self.padLeft = padLeft
    self.outHeight = outHeight
    self.outWidth = outWidth
  }

  fileprivate func write(to call: UnsafeMutablePointer<UInt32>) {
    call[0] = UInt32(height)
    call[1] = UInt32(width)
    call[2] = UInt32(channels)
    call[3] = UInt32(filterHeight)
    call[4] = UInt32(filterWidth)
    call[5] = UInt32(stride)
    call[6] = UInt32(padTop)
    call[7] = UInt32(padLeft)
    call[8] = UInt32(outHeight)
    call[9] = UInt32(outWidth)
  }
}

extension Linear {
  /// y[out height × out width × outputs] = activation(convolution of x + bias); the inputs of the layer are
  /// ordered by row of the filter, column, channel. What lies outside the image counts as zero.
  public func convolve(
    _ x: UnsafePointer<Float>, _ window: ImageWindow, activation: Activation = .identity, into y: Floats
  ) {
    guard Tensor.isGranted else { return TensorFallback.convolve(self, x, window, activation, y) }
    let call = callWords
    call[0] = weights.rawValue
    call[1] = activation.rawValue
    window.write(to: call + 2)
    call[12] = UInt32(outputs)
    call[13] = address(x)
    call[14] = address(packed)
    call[15] = bias.map { address($0) } ?? 0
    call[16] = address(y)
    hostConvolve(call)
  }
}

/// A convolution with one filter for each channel.
public struct Depthwise {
  /// [filter height × filter width × channels]
  public let filter: UnsafePointer<Float>
  public let bias: UnsafePointer<Float>?

  public init(filter: UnsafePointer<Float>, bias: UnsafePointer<Float>?) {
    self.filter = filter
    self.bias = bias
  }

  public func apply(
    _ x: UnsafePointer<Float>, _ window: ImageWindow, activation: Activation = .identity, into y: Floats
  ) {
    guard Tensor.isGranted else { return TensorFallback.depthwise(self, x, window, activation, y) }
    let call = callWords
    call[0] = activation.rawValue
    window.write(to: call + 1)
    call[11] = address(x)
    call[12] = address(filter)
    call[13] = bias.map { address($0) } ?? 0
    call[14] = address(y)
    hostDepthwise(call)
  }
}

extension Tensor {
  public enum Pooling: UInt32 {
    case largest = 0
    case mean = 1
  }

  /// The largest or the mean of each window; what lies outside the image does not count.
  public static func pool(_ kind: Pooling, _ x: UnsafePointer<Float>, _ window: ImageWindow, into y: Floats) {
    guard isGranted else { return TensorFallback.pool(kind, x, window, y) }
    let call = callWords
    call[0] = kind.rawValue
    window.write(to: call + 1)
    call[11] = address(x)
    call[12] = address(y)
    hostPool(call)
  }

  /// In place.
  public static func activate(_ activation: Activation, _ x: Floats, count: Int) {
    if isGranted {
      hostActivate(Int32(activation.rawValue), x, Int32(count))
    } else {
      for index in 0..<count { x[index] = TensorFallback.apply(activation, x[index]) }
    }
  }
}

extension TensorFallback {
  /// A row of the image at a time: its windows side by side, then one linear layer.
  static func convolve(
    _ layer: Linear, _ x: UnsafePointer<Float>, _ window: ImageWindow, _ activation: Activation, _ y: Floats
  ) {
    let windows = Floats.allocate(capacity: max(1, window.outWidth * layer.inputs))
    defer { windows.deallocate() }
    for row in 0..<window.outHeight {
      var to = windows
      for column in 0..<window.outWidth {
        for i in 0..<window.filterHeight {
          let v = row * window.stride + i - window.padTop
          for j in 0..<window.filterWidth {
            let h = column * window.stride + j - window.padLeft
            if v >= 0 && v < window.height && h >= 0 && h < window.width {
              let from = x + (v * window.width + h) * window.channels
              for channel in 0..<window.channels { to[channel] = from[channel] }
            } else {
              for channel in 0..<window.channels { to[channel] = 0 }
            }
            to += window.channels
          }
        }
      }
      linear(layer, windows, window.outWidth, activation, y + row * window.outWidth * layer.outputs)
    }
  }

  static func depthwise(
    _ layer: Depthwise, _ x: UnsafePointer<Float>, _ window: ImageWindow, _ activation: Activation,
    _ y: Floats
  ) {
    let channels = window.channels
    for row in 0..<window.outHeight {
      for column in 0..<window.outWidth {
        let to = y + (row * window.outWidth + column) * channels
        for channel in 0..<channels { to[channel] = layer.bias?[channel] ?? 0 }
        for i in 0..<window.filterHeight {
          let v = row * window.stride + i - window.padTop
          guard v >= 0, v < window.height else { continue }
          for j in 0..<window.filterWidth {
            let h = column * window.stride + j - window.padLeft
            guard h >= 0, h < window.width else { continue }
            let from = x + (v * window.width + h) * channels
            let filter = layer.filter + (i * window.filterWidth + j) * channels
            for channel in 0..<channels { to[channel] += from[channel] * filter[channel] }
          }
        }
        guard activation != .identity else { continue }
        for channel in 0..<channels { to[channel] = apply(activation, to[channel]) }
      }
    }
  }

  static func pool(
    _ kind: Tensor.Pooling, _ x: UnsafePointer<Float>, _ window: ImageWindow, _ y: Floats
  ) {
    let channels = window.channels
    for row in 0..<window.outHeight {
      for column in 0..<window.outWidth {
        let to = y + (row * window.outWidth + column) * channels
        var count = 0
        for channel in 0..<channels { to[channel] = 0 }
        for i in 0..<window.filterHeight {
          let v = row * window.stride + i - window.padTop
          guard v >= 0, v < window.height else { continue }
          for j in 0..<window.filterWidth {
            let h = column * window.stride + j - window.padLeft
            guard h >= 0, h < window.width else { continue }
            let from = x + (v * window.width + h) * channels
            for channel in 0..<channels {
              to[channel] =
                kind == .mean
                ? to[channel] + from[channel] : count == 0 ? from[channel] : max(to[channel], from[channel])
            }
            count += 1
          }
        }
        guard kind == .mean, count > 1 else { continue }
        for channel in 0..<channels { to[channel] *= 1 / Float(count) }
      }
    }
  }
}

@_extern(wasm, module: "roost_tensor", name: "convolve") @_extern(c)
func hostConvolve(_ call: UnsafePointer<UInt32>)

@_extern(wasm, module: "roost_tensor", name: "depthwise") @_extern(c)
func hostDepthwise(_ call: UnsafePointer<UInt32>)

@_extern(wasm, module: "roost_tensor", name: "pool") @_extern(c)
func hostPool(_ call: UnsafePointer<UInt32>)

@_extern(wasm, module: "roost_tensor", name: "activate") @_extern(c)
func hostActivate(_ activation: Int32, _ x: UnsafeMutablePointer<Float>, _ count: Int32)
