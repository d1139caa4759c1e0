//! Sets "class" to "cheap" or "dear" by the number in "price", and refuses records without one.
//! Parameters: {"limit": 100}.

use roost::{Changes, Error, Fields, Transform, Value};

struct Example {
    limit: f64,
}

impl Transform for Example {
    fn new(parameters: Fields<'static>) -> Result<Self, Error> {
        Ok(Example { limit: parameters.number("limit").ok_or("'limit' must be a number")? })
    }

    fn transform(&mut self, record: &Fields, changes: &mut Changes) -> Result<(), Error> {
        let price = record.number("price").ok_or("'price' must be a number")?;
        changes.set("class", Value::Str(if price <= self.limit { "cheap" } else { "dear" }));
        Ok(())
    }
}

roost::transform!(Example);
