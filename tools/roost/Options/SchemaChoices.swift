// The choices of `roost create` as words. The library's help shows raw values, which for the types of Core
// are the numbers of the file format.

import ArgumentParser
import Core

enum ElementChoice: String, CaseIterable, ExpressibleByArgument {
  case f32, f16, bf16, u8, i8, binary

  init?(argument: String) { self.init(rawValue: argument.lowercased()) }

  var defaultValueDescription: String {
    switch self {
    case .f32: "Floating point, 4 bytes."
    case .f16: "IEEE half precision, 2 bytes."
    case .bf16: "The range of f32 with 8 bits of precision, 2 bytes."
    case .u8: "Whole numbers 0 to 255, 1 byte."
    case .i8: "Whole numbers -128 to 127, 1 byte."
    case .binary: "Bits, 8 a byte; the dimension is a multiple of 8."
    }
  }

  var element: VectorElement {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .u8: .u8
    case .i8: .i8
    case .binary: .binary
    }
  }
}

enum MetricChoice: String, CaseIterable, ExpressibleByArgument {
  case l2, ip, cosine, hamming

  init?(argument: String) { self.init(rawValue: argument.lowercased()) }

  var defaultValueDescription: String {
    switch self {
    case .l2: "Squared Euclidean distance."
    case .ip: "Inner product, negated so that smaller is nearer."
    case .cosine: "1 - cosine; f32 vectors are stored at length 1."
    case .hamming: "Bits that differ; for binary vectors, which have no other."
    }
  }

  var metric: Metric {
    switch self {
    case .l2: .l2
    case .ip: .innerProduct
    case .cosine: .cosine
    case .hamming: .hamming
    }
  }
}

/// `all`, `none`, or fields with commas between them.
struct IndexChoice: ExpressibleByArgument {
  var indexing: AttributeIndexing

  init(indexing: AttributeIndexing) { self.indexing = indexing }

  init?(argument: String) {
    switch argument.lowercased() {
    case "all": indexing = .all
    case "none": indexing = .none
    default:
      indexing = .fields(argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init))
    }
  }

  var defaultValueDescription: String {
    switch indexing {
    case .all: "all"
    case .none: "none"
    case .fields(let fields): fields.joined(separator: ",")
    }
  }
}

enum LayoutChoice: String, CaseIterable, ExpressibleByArgument {
  case fast, compact

  init?(argument: String) { self.init(rawValue: argument.lowercased()) }

  var defaultValueDescription: String {
    switch self {
    case .fast: "Fastest search in memory; 128 x f32 take 2.1 KiB."
    case .compact: "Less disk; 128 x f32 take 0.8 KiB."
    }
  }

  var layout: GraphLayout {
    switch self {
    case .fast: .fast
    case .compact: .compact
    }
  }
}
