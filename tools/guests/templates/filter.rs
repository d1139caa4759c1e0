//! Passes records whose number in "price" is at most `max`. Parameters: {"max": 100}.

use roost::{Candidate, Error, Fields, Filter};

struct Example {
    max: f64,
}

impl Filter for Example {
    fn new(parameters: Fields<'static>) -> Result<Self, Error> {
        Ok(Example { max: parameters.number("max").ok_or("'max' must be a number")? })
    }

    fn passes(&self, candidate: &Candidate) -> bool {
        candidate.number("price").map_or(false, |price| price <= self.max)
    }
}

roost::filter!(Example);
