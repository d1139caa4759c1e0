// The targets: for each decoder of outside bytes, the samples to start from and the call to make.

import Core
import Foundation
import Gossip
import Node
import Storage
import Wasm
import Wire

enum FuzzTarget {
  typealias Attack = (inout InputSource) throws -> Void

  static let names = [
    "wire", "wal", "manifest", "smallfile", "footer", "segment", "payload", "filter", "vectorfile", "json",
    "guest", "image", "onnx", "signal", "gossip", "registry",
  ]

  static func make(_ name: String) throws -> Attack {
    switch name {
    case "wire":
      let samples = wireSamples
      return { WireFuzz.decode($0.mutated(samples)) }
    case "wal": return logAttack(kind: 0, samples: walSamples)
    case "manifest": return logAttack(kind: 1, samples: [])
    case "smallfile":
      let samples = [
        "roost-clean 1\nlog 1 24\nlog 2 4096\ncrc32c 00000000\n", "00000017.wal", "MANIFEST-00000003",
      ]
      .map { Array($0.utf8) }
      return { StorageFuzz.smallFile($0.mutated(samples)) }
    case "footer":
      let samples = [StorageFuzz.sampleFooter()]
      return { StorageFuzz.footer($0.mutated(samples)) }
    case "segment":
      let segment = try SegmentFuzz()
      return { source in
        try segment.run(
          (0...source.below(6)).map { _ in
            (source.below(segment.count), source.pick([0, 0xff, source.byte()]))
          })
      }
    case "payload":
      let samples = payloadSamples
      let fields = try ["a", "j.k", "m.n.o"].map { PayloadField(try FieldPath($0)) }
      return { source in
        source.mutated(samples).withUnsafeBytes { raw in
          for field in fields { _ = try? field.groupKey(in: raw) }
          guard let payload = try? Payload(encoded: raw) else { return }
          let again = payload.encoded.withUnsafeBytes { try? Payload(encoded: $0) }
          precondition(again?.encoded == payload.encoded, "a payload does not survive encoding")
        }
      }
    case "filter":
      let samples = filterSamples
      return { source in source.mutated(samples).withUnsafeBytes { FilterFuzz.run($0) } }
    case "vectorfile":
      let samples = vectorFileSamples
      return { source in source.mutated(samples).withUnsafeBytes { VectorFileFuzz.run($0) } }
    case "json":
      let samples = [
        #"{"id":18446744073709551615,"vector":[1e-45,-0.0,3.4028235e+38],"payload":{"a":[1,1.0,null,true]}}"#,
        #"{"id":1,"vector":[0.5],"vectors":{"a":[1,0,0,0,0,0,0,1],"b":[-3e38]},"payload":{}}"#,
        #"{"id":"k\u00e9\ud83d\ude00","payload":{"t":{"$datetime":"2026-01-02T03:04:05.5+01:00"}}}"#,
        #"{"payload":{"g":{"$geo":[48.2,-16]},"b":{"$bytes":"AP8="},"m":{"$map":{"$d":{"$double":"infinity"}}}}}"#,
      ].map { Array($0.utf8) }
      return { source in source.mutated(samples).withUnsafeBytes { JSONFuzz.run($0) } }
    case "guest":
      return { source in source.noise(64).withUnsafeBytes { WasmFuzz.run($0) } }
    case "gossip":
      let samples = GossipFuzz.samples()
      return { GossipFuzz.run($0.mutated(samples)) }
    case "image", "onnx", "signal":
      let fuzz = try EmbedderFuzz(name)
      return { source in try fuzz.run(&source) }
    case "registry":
      let samples = [RegistryFuzz.sample()]
      return { source in RegistryFuzz.run([source.byte()] + source.mutated(samples)) }
    default: throw RoostError(.invalidArgument, "there is no target '\(name)'")
    }
  }

  private static func logAttack(kind: UInt8, samples: [[UInt8]]) -> Attack {
    { source in StorageFuzz.log([kind, source.byte()] + source.mutated(samples)) }
  }

  /// The golden vectors of the wire, when run inside a checkout, else a few frames made here.
  private static var wireSamples: [[UInt8]] {
    let folder = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../spec/vectors").standardized
    let files = (try? FileManager.default.subpathsOfDirectory(atPath: folder.path)) ?? []
    let frames = files.filter { $0.hasSuffix(".hex") }.sorted().compactMap { name -> [UInt8]? in
      guard let text = try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8) else {
        return nil
      }
      return bytes(hex: text)
    }
    // Past the header, a frame is the body of a message; the fuzz entry takes the opcode before it.
    return frames + frames.filter { $0.count > 32 }.map { [$0[5]] + $0[32...] }
  }

  private static func bytes(hex text: String) -> [UInt8] {
    let digits = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.joined().filter(\.isHexDigit)
    let values = digits.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: values.count - 1, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
  }

  private static var walSamples: [[UInt8]] {
    var writer = ByteWriter()
    writer.count(2)
    writer.u8(1)
    RecordID.key("some-key").encode(into: &writer)
    Version(time: 1 << 40, node: 3).encode(into: &writer)
    // Both fields, of 16 and 2 bytes.
    writer.u8(3)
    writer.raw([UInt8](repeating: 7, count: 18))
    writer.blob(payloadSamples[0])
    writer.u8(2)
    RecordID.number(42).encode(into: &writer)
    Version(time: 1 << 41, node: 3).encode(into: &writer)
    return [writer.bytes]
  }

  private static var payloadSamples: [[UInt8]] {
    [
      Payload([
        "section": .string("graphics"), "size": .int(1234), "score": .double(0.5), "free": .bool(true),
        "tags": .array([.string("a"), .null, .int(-1)]), "at": .geo(latitude: 52.5, longitude: 13.4),
        "when": .datetime(1_700_000_000_000_000), "raw": .bytes([0, 255]),
        "maker": .map(["name": .string("x"), "deep": .map(["er": .bool(false)])]),
      ]).encoded, Payload().encoded,
    ]
  }

  private static var filterSamples: [[UInt8]] {
    let texts = [
      #"section = "graphics" and size in 100..2000 and not name in ("a", "b") or exists(homepage)"#,
      "`odd name`.x >= -1.5e3 or free = true and (a < 3 or b != null)",
      #"section matches prefix "Graph 漢" or maker[name starts with "x" and deep.er is not empty] or has-id(7, "k")"#,
      #"when in 2020-01-01..2026-01-31T12:00:00Z and at within 5km of geo"52.5,13.4" and tags contains all ("a", -1)"#,
      #"at within box(geo"50,170", geo"60,-170") or at not within polygon(geo"0,0", geo"90,20", geo"9,-170")"#,
    ]
    var samples = texts.map { [0] + Array($0.utf8) }
    for text in texts {
      guard let filter = try? Filter(text: text) else { continue }
      var writer = ByteWriter()
      filter.encode(into: &writer)
      samples.append([1] + writer.bytes)
      let count = text.utf8.count
      samples.append([2, UInt8(count & 255), UInt8(count >> 8)] + Array(text.utf8) + payloadSamples[0])
    }
    return samples
  }

  private static var vectorFileSamples: [[UInt8]] {
    func words(_ values: [UInt32]) -> [UInt8] {
      values.flatMap { value in withUnsafeBytes(of: value) { Array($0) } }
    }
    var samples: [[UInt8]] = []
    for format in 0..<UInt8(VectorFileFormat.allCases.count + 2) {
      samples.append([format] + words([3, 4] + [UInt32](repeating: 0x3f80_0000, count: 24)))
      samples.append([format] + words([4, 1, 2, 3, 4, 4, 1, 2, 3, 4]))
      let header =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }                                    \n"
      samples.append(
        [format, 0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8)
          + words([UInt32](repeating: 0, count: 6)))
    }
    return samples
  }
}
