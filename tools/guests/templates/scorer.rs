//! Orders by likes and nearness: score = likes × `factor` − distance. Parameters: {"factor": 0.01}.

use roost::{Candidate, Error, Fields, Scorer, LEAVE_OUT};

struct Example {
    factor: f64,
}

impl Scorer for Example {
    fn new(parameters: Fields<'static>) -> Result<Self, Error> {
        Ok(Example { factor: parameters.number("factor").ok_or("'factor' must be a number")? })
    }

    fn score(&mut self, candidate: &Candidate) -> f32 {
        // A score must be finite.
        match candidate.number("likes") {
            Some(likes) if likes.abs() < 1e9 => (likes * self.factor) as f32 - candidate.distance,
            _ => LEAVE_OUT,
        }
    }
}

roost::scorer!(Example);
