//! Prefers what is new: score = nearness × 2^(−age / half-life), nearness being 1 / (1 + distance). A record without a
//! time counts as one half-life old. Parameters: {"field": "published", "half_life_days": 30}. Needs the capability
//! `clock`.

use roost::{Candidate, Error, Fields, Scorer, Value};

struct TimeDecay {
    field: &'static str,
    half_life: f64,
    now: i64,
}

const DAY: f64 = 86_400e6;

impl Scorer for TimeDecay {
    fn new(parameters: Fields<'static>) -> Result<Self, Error> {
        let field = parameters.string("field").ok_or("'field' must be a string, the name of a field")?;
        let days = parameters.number("half_life_days").filter(|days| *days > 0.0);
        Ok(TimeDecay { field, half_life: days.ok_or("'half_life_days' must be a number above 0")?, now: roost::now() })
    }

    fn fields(&self) -> Vec<&str> {
        vec![self.field]
    }

    fn score(&mut self, candidate: &Candidate) -> f32 {
        let age = match candidate.get(self.field) {
            // What is dated ahead is new.
            Some(Value::Datetime(time)) => (self.now.saturating_sub(time) as f64 / DAY).max(0.0),
            _ => self.half_life,
        };
        let nearness = if candidate.distance >= 0.0 { 1.0 / (1.0 + candidate.distance) } else { 1.0 - candidate.distance };
        nearness * (-age / self.half_life).exp2() as f32
    }
}

roost::scorer!(TimeDecay);
