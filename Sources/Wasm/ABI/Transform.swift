// A transform module at work on records that are being put: payloads in, attributes to set or remove out.

import Core

/// What a transform does with the records of one request.
public struct TransformRun: Sendable {
  private let code: ModuleCode
  private let parameters: [UInt8]
  private let nowMicros: Int64

  /// Words of one answer: status, address, length.
  private static let answerBytes = 12

  init(code: ModuleCode, parameters: Payload, nowMicros: Int64) {
    self.code = code
    self.parameters = parameters.encoded
    self.nowMicros = nowMicros
  }

  /// The payloads with what the module derives from each: a value that it gives replaces the field of that name or
  /// adds it, null removes it.
  ///
  /// Throws `.invalidArgument` when the module refuses a record or gives a payload too large to store; `name` says
  /// which record it was. `.moduleFailed` when the module fails, `.overloaded` when too many instances are alive.
  public func apply(
    to payloads: [Payload], name: (Int) -> String
  ) throws(RoostError) -> [Payload] {
    if payloads.isEmpty { return [] }
    let instance = try WasmInstance(code: code, nowMicros: nowMicros, seed: fnv1a(parameters))
    try instance.configure(parameters)
    let projection = try instance.declaredFields().map { PayloadProjection(fields: $0) }
    var results: [Payload] = []
    results.reserveCapacity(payloads.count)
    let limits = code.engine.limits
    while results.count < payloads.count {
      var encoded: [[UInt8]] = []
      var bytes = 0
      while results.count + encoded.count < payloads.count, encoded.count < limits.transformBatchMax {
        let index = results.count + encoded.count
        let payload: [UInt8]
        do throws(RoostError) { payload = try payloads[index].validatedEncoding() } catch {
          throw RoostError(
            error.kind, error.message, at: "\(name(index)), \(error.place)", remedy: error.remedy)
        }
        guard encoded.isEmpty || bytes + payload.count <= limits.callBytesMax else { break }
        bytes += payload.count
        encoded.append(payload)
      }
      let first = results.count
      let changes = try run(instance, encoded, projection) { (index) in name(first + index) }
      for change in changes {
        results.append(try merged(payloads[results.count], change, name(results.count)))
      }
    }
    return results
  }

  private func merged(
    _ payload: Payload, _ change: Payload, _ place: String
  ) throws(RoostError) -> Payload {
    var payload = payload
    for (name, value) in change.fields { payload[name] = value == .null ? nil : value }
    do throws(RoostError) { try payload.validate() } catch {
      throw RoostError(
        error.kind, "after module '\(code.name)': \(error.message)", at: "\(place), \(error.place)",
        remedy: error.remedy)
    }
    return payload
  }

  private func run(
    _ instance: WasmInstance, _ payloads: [[UInt8]], _ projection: PayloadProjection?,
    name: (Int) -> String
  ) throws(RoostError) -> [Payload] {
    let count = payloads.count
    let layout = BatchLayout(
      count: count, itemBytes: payloads.reduce(0) { $0 + max(1, $1.count) },
      outputBytes: count * TransformRun.answerBytes)
    let (address, bytes) = try instance.buffer(atLeast: layout.byteCount)
    var writer = BatchWriter(bytes, layout: layout)
    for payload in payloads {
      try payload.withReader { (reader) throws(RoostError) in
        let raw = try reader.bytes(payload.count)
        if let projection {
          writer.append(count: try projection.copy(raw, into: writer.room))
        } else {
          writer.append(raw)
        }
      }
    }
    UnsafeMutableRawBufferPointer(rebasing: bytes[layout.outputOffset..<layout.byteCount])
      .initializeMemory(as: UInt8.self, repeating: GuestABI.unwritten)
    let output = try instance.runBatch(
      input: address, count: count, output: layout.outputAddress(address),
      outputBytes: count * TransformRun.answerBytes, deadlineMs: code.engine.limits.transformDeadlineMs)
    var changes: [Payload] = []
    changes.reserveCapacity(count)
    for index in 0..<count {
      func word(_ place: Int) -> UInt32 {
        output.loadUnaligned(
          fromByteOffset: index * TransformRun.answerBytes + place * 4, as: UInt32.self)
      }
      let what = "item \(index) of \(count)"
      let answer = try instance.bytes(at: word(1), count: word(2), from: "\(GuestABI.transform) for \(what)")
      switch word(0) {
      case 0:
        do throws(RoostError) { changes.append(try Payload(encoded: answer)) } catch {
          throw code.failure("gave a malformed payload for \(what): \(error.message)")
        }
      case 1:
        let text = printable(answer, atMost: code.engine.limits.messageBytesMax)
        throw RoostError(
          .invalidArgument, "module '\(code.name)' refused the record\(text.isEmpty ? "" : ": \(text)")",
          at: name(index))
      case let status: throw code.failure("gave status \(status) for \(what); it must be 0 or 1")
      }
    }
    return changes
  }
}
