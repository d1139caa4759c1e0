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

package struct VerifyRequest: Sendable, Equatable {
  package var collection: String
  /// Stored vectors to search for, so as to measure recall; 0 for none.
  package var recallSamples: Int

  package static let recallSamplesMax = 100_000

  package init(collection: String, recallSamples: Int = 0) {
    self.collection = collection
    self.recallSamples = recallSamples
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(collection)
    body.bytes.count(recallSamples)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.collection()
    recallSamples = try body.fixed.count("recall samples", atMost: VerifyRequest.recallSamplesMax)
  }
}

/// How well the graph of a collection finds what an exact search finds.
public struct RecallAnswer: Sendable, Equatable {
  /// Stored vectors that were searched for.
  public var queries: UInt32
  public var k: UInt32
  /// Candidates that each search kept.
  public var effort: UInt32
  /// Recall@k, and the ends of its 95% confidence interval.
  public var recall: Double
  public var low: Double
  public var high: Double
  /// What to do about it; empty when it is good.
  public var advice: String

  public init(
    queries: UInt32, k: UInt32, effort: UInt32, recall: Double, low: Double, high: Double, advice: String
  ) {
    self.queries = queries
    self.k = k
    self.effort = effort
    self.recall = recall
    self.low = low
    self.high = high
    self.advice = advice
  }

  private static let adviceBytesMax = 4_096

  package func encode(into body: inout BodyWriter) {
    body.bytes.u32(queries)
    body.bytes.u32(k)
    body.bytes.u32(effort)
    body.bytes.f64(recall)
    body.bytes.f64(low)
    body.bytes.f64(high)
    body.bytes.string(advice)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    queries = try body.fixed.u32()
    k = try body.fixed.u32()
    effort = try body.fixed.u32()
    recall = try body.fixed.f64()
    low = try body.fixed.f64()
    high = try body.fixed.f64()
    advice = try body.fixed.string("advice", atMost: RecallAnswer.adviceBytesMax)
    guard 0...1 ~= recall, 0...1 ~= low, 0...1 ~= high else {
      throw RoostError(.corrupted, "a recall of \(recall) in \(low) to \(high)", at: "recall")
    }
  }
}

/// What a verification of all files of a collection has found.
public struct VerifyAnswer: Sendable, Equatable {
  public var filesChecked: UInt64
  public var bytesChecked: UInt64
  /// Empty when everything is sound; at most `problemsMax`.
  public var problems: [RoostError]
  /// When it was asked for.
  public var recall: RecallAnswer?

  public static let problemsMax = 1_000

  public init(
    filesChecked: UInt64, bytesChecked: UInt64, problems: [RoostError], recall: RecallAnswer? = nil
  ) {
    self.filesChecked = filesChecked
    self.bytesChecked = bytesChecked
    self.problems = problems
    self.recall = recall
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.u64(filesChecked)
    body.bytes.u64(bytesChecked)
    body.bytes.count(problems.count)
    for problem in problems { problem.encode(into: &body) }
    body.bytes.u8(recall == nil ? 0 : 1)
    recall?.encode(into: &body)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    filesChecked = try body.fixed.u64()
    bytesChecked = try body.fixed.u64()
    problems = try body.list("problem count", atMost: VerifyAnswer.problemsMax) { (body) throws(RoostError) in
      try RoostError(from: &body)
    }
    recall = try body.flag("recall") ? RecallAnswer(from: &body) : nil
  }
}
