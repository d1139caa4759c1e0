// The file formats in which the field exchanges vectors.

/// How vectors lie in a file; chosen by the file's extension.
public enum VectorFileFormat: String, Sendable, CaseIterable {
  /// big-ann-benchmarks: u32 rows, u32 dimension, then the rows as f32, u8 or i8; `f16bin` (or `hbin`) as f16,
  /// `bf16bin` as bf16. `bbin` holds bits, eight a byte, and the dimension counts these bytes.
  case fbin, u8bin, i8bin, f16bin, hbin, bf16bin, bbin
  /// TEXMEX (corpus-texmex.irisa.fr): each row is an i32 dimension and that many f32 or u8.
  case fvecs, bvecs
  /// NumPy's own format (numpy.org, "NEP 1"), versions 1 to 3: a matrix in C order of f2, f4, f8, u1 or i1.
  case npy

  /// Nil for a path with another extension.
  public init?(path: String) {
    guard let dot = path.lastIndex(of: ".") else { return nil }
    self.init(rawValue: path[path.index(after: dot)...].lowercased())
  }
}
