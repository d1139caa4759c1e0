// Every limit of Roost in one place; `spec/limits.md` is the same table in words.

/// Static limits. Whatever exceeds one is refused at the edge with `.limitExceeded`.
public enum Limits {
  public static let dimensionMax = 4096
  public static let vectorFieldsMax = 8
  /// Of f32 vectors with metric l2 or inner product: beyond it distances would overflow.
  public static let vectorLengthMax = 1152921504606846976.0  // 2⁶⁰
  public static let keyBytesMax = 64
  public static let nameBytesMax = 64
  public static let payloadBytesMax = 64 * 1024
  public static let payloadFieldsMax = 256
  public static let payloadDepthMax = 8
  public static let fieldNameBytesMax = 128
  public static let batchRecordsMax = 10_000
  public static let batchQueriesMax = 1_000
  public static let kMax = 10_000
  public static let effortMax = 20_000
  /// Examples of a recommendation, positive and negative together.
  public static let examplesMax = 256
  /// Ids that a query excludes.
  public static let excludedMax = 10_000
  /// Candidates that a diverse search chooses from.
  public static let diverseCandidatesMax = 2_000
  public static let frameBodyBytesMax = 64 * 1024 * 1024
  public static let filterDepthMax = 32
  public static let filterNodesMax = 4_096
  /// Values, ids and polygon points in all lists of a filter together.
  public static let filterValuesMax = 16_384
  public static let filterPolygonPointsMax = 1_024
  public static let filterWordsMax = 64
  public static let filterWordsBytesMax = 1_024
  public static let filterTextBytesMax = 64 * 1024
  public static let facetsMax = 16
  public static let facetTopMax = 10_000
  /// Distinct values that one facet may meet, and steps of a histogram.
  public static let facetDistinctMax = 1_000_000
  /// Bytes of the distinct values of a facet.
  public static let facetBytesMax = 32 * 1024 * 1024
  public static let moduleBytesMax = 60 * 1024 * 1024
  /// Transforms of a collection.
  public static let transformsMax = 8
  public static let textBytesMax = 32 * 1024
  /// An image or a signal for an embedder.
  public static let embedderBytesMax = 16 * 1024 * 1024
  public static let collectionsMax = 1_024
  public static let connectionsMax = 4_096
  public static let requestsInFlightPerConnectionMax = 1_024
  public static let segmentsMax = 1_024
  /// Payload paths that a segment indexes.
  public static let attributePathsMax = 256
}
