// The optional fields at the end of every message: how the protocol grows within version 1. A receiver
// skips a tag that it does not know, unless its lowest bit says that it must not.

import Core

/// Names one attempt to write, however often it is sent.
public struct IdempotencyKey: Hashable, Sendable {
  public let high: UInt64
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }
}

/// W3C trace context (https://www.w3.org/TR/trace-context/): what `traceparent` carries.
public struct TraceContext: Hashable, Sendable {
  public var traceHigh: UInt64
  public var traceLow: UInt64
  public var span: UInt64
  public var flags: UInt8

  public init(traceHigh: UInt64, traceLow: UInt64, span: UInt64, flags: UInt8) {
    self.traceHigh = traceHigh
    self.traceLow = traceLow
    self.span = span
    self.flags = flags
  }
}

/// A varint count, then per field: varint tag, varint length, bytes; tags ascend. Odd tags are critical.
package struct Trailer: Sendable, Equatable {
  package var trace: TraceContext?
  package var idempotencyKey: IdempotencyKey?
  /// In errors: when to try again.
  package var retryAfterMs: UInt32?

  package static let fieldsMax = 64
  package static let fieldBytesMax = 64 * 1024

  private enum Tag {
    static let trace: UInt64 = 2
    static let idempotencyKey: UInt64 = 4
    static let retryAfterMs: UInt64 = 6
  }

  package init(
    trace: TraceContext? = nil, idempotencyKey: IdempotencyKey? = nil, retryAfterMs: UInt32? = nil
  ) {
    self.trace = trace
    self.idempotencyKey = idempotencyKey
    self.retryAfterMs = retryAfterMs
  }

  package func encode(into writer: inout ByteWriter) {
    writer.count((trace == nil ? 0 : 1) + (idempotencyKey == nil ? 0 : 1) + (retryAfterMs == nil ? 0 : 1))
    if let trace {
      writer.varint(Tag.trace)
      writer.count(25)
      writer.u64(trace.traceHigh)
      writer.u64(trace.traceLow)
      writer.u64(trace.span)
      writer.u8(trace.flags)
    }
    if let idempotencyKey {
      writer.varint(Tag.idempotencyKey)
      writer.count(16)
      writer.u64(idempotencyKey.high)
      writer.u64(idempotencyKey.low)
    }
    if let retryAfterMs {
      writer.varint(Tag.retryAfterMs)
      writer.count(4)
      writer.u32(retryAfterMs)
    }
  }

  package init(from reader: inout ByteReader) throws(RoostError) {
    let count = try reader.count("trailer field count", atMost: Trailer.fieldsMax)
    var previous: UInt64?
    for _ in 0..<count {
      let start = reader.offset
      let tag = try reader.varint()
      if let previous, tag <= previous {
        throw RoostError(.corrupted, "trailer tags do not ascend", at: "byte \(start)")
      }
      previous = tag
      let length = try reader.count("trailer field length", atMost: Trailer.fieldBytesMax)
      let end = reader.offset + length
      switch tag {
      case Tag.trace:
        trace = TraceContext(
          traceHigh: try reader.u64(), traceLow: try reader.u64(), span: try reader.u64(),
          flags: try reader.u8())
      case Tag.idempotencyKey:
        idempotencyKey = IdempotencyKey(high: try reader.u64(), low: try reader.u64())
      case Tag.retryAfterMs: retryAfterMs = try reader.u32()
      case _ where tag & 1 == 0: try reader.skip(length)
      default:
        throw RoostError(
          .unsupportedVersion, "the message requires field \(tag), which this side does not know",
          at: "byte \(start)", remedy: "upgrade this side")
      }
      guard reader.offset == end else {
        throw RoostError(.corrupted, "trailer field \(tag) has \(length) bytes", at: "byte \(start)")
      }
    }
  }
}
