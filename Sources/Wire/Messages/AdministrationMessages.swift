// Statistics, verification and backup.

import Core

package struct StatsRequest: Sendable, Equatable {
  /// Nil: the node as a whole.
  package var collection: String?

  package init(collection: String?) { self.collection = collection }

  package func encode(into body: inout BodyWriter) { body.optionalString(collection) }
  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.optionalString("collection name", atMost: Limits.nameBytesMax)
  }
}

package struct BackupRequest: Sendable, Equatable {
  package var collection: String
  /// A folder on the node's machine that does not exist yet.
  package var directory: String

  package init(collection: String, directory: String) {
    self.collection = collection
    self.directory = directory
  }

  package static let pathBytesMax = 4_096

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(collection)
    body.bytes.string(directory)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.collection()
    directory = try body.fixed.string("folder", atMost: BackupRequest.pathBytesMax)
  }
}

/// What a verification of all files of a collection has found.
public struct VerifyAnswer: Sendable, Equatable {
  public var filesChecked: UInt64
  public var bytesChecked: UInt64
  /// Empty when everything is sound; at most `problemsMax`.
  public var problems: [RoostError]

  public static let problemsMax = 1_000

  public init(filesChecked: UInt64, bytesChecked: UInt64, problems: [RoostError]) {
    self.filesChecked = filesChecked
    self.bytesChecked = bytesChecked
    self.problems = problems
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.u64(filesChecked)
    body.bytes.u64(bytesChecked)
    body.bytes.count(problems.count)
    for problem in problems { problem.encode(into: &body) }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    filesChecked = try body.fixed.u64()
    bytesChecked = try body.fixed.u64()
    problems = try body.list("problem count", atMost: VerifyAnswer.problemsMax) { (body) throws(RoostError) in
      try RoostError(from: &body)
    }
  }
}
