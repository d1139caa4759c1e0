// A whole file on the command line: a module to publish, an image for an embedder.

import Core
import Foundation

enum InputFile {
  /// Throws `.notFound`, or `.limitExceeded` before anything of a file that is too long is read.
  static func read(
    _ path: String, atMost limit: Int, what: String, remedy: String = ""
  ) throws(RoostError) -> [UInt8] {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    if let size = (attributes?[.size] as? NSNumber)?.intValue, size > limit {
      throw RoostError(.limitExceeded, "\(what) of \(size) bytes, the limit is \(limit)", at: path)
    }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw RoostError(.notFound, "cannot read the \(what)", at: path, remedy: remedy)
    }
    guard data.count <= limit else {
      throw RoostError(.limitExceeded, "\(what) of \(data.count) bytes, the limit is \(limit)", at: path)
    }
    return [UInt8](data)
  }
}
