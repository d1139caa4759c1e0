// Orders by likes and nearness: score = likes × `factor` − distance. Parameters: {"factor": 0.01}.

struct Example: Scorer {
  private let factor: Double

  init(parameters: Fields) throws(GuestError) {
    guard let factor = parameters.number("factor") else { throw GuestError("'factor' must be a number") }
    self.factor = factor
  }

  func score(_ candidate: Candidate) -> Float {
    // A score must be finite.
    guard let likes = candidate.number("likes"), likes.magnitude < 1e9 else { return leaveOut }
    return Float(likes * factor) - candidate.distance
  }
}

typealias ModuleScorer = Example
