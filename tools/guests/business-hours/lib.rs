//! Passes what is open now. A record has `hours`, an array of seven texts from Monday on, each like "09:00-12:30
//! 14:00-18:00" or empty, and perhaps `utc_offset`, minutes east of Greenwich. Hours may go past midnight: "18:00-02:00".
//! Parameter: {"ahead_minutes": 30} asks whether it will be open then. Needs the capability `clock`.

use roost::{Candidate, Error, Fields, Filter, Value};

struct BusinessHours {
    /// Minutes since 1970-01-01T00:00Z, which was a Thursday.
    now: i64,
}

const DAY: i64 = 24 * 60;
const WEEK: i64 = 7 * DAY;
const FIRST_DAY: i64 = 3;

impl Filter for BusinessHours {
    fn new(parameters: Fields<'static>) -> Result<Self, Error> {
        let ahead = match parameters.get("ahead_minutes") {
            None => 0,
            Some(Value::Int(minutes)) if (0..=WEEK).contains(&minutes) => minutes,
            Some(_) => return Err("'ahead_minutes' must be a whole number of minutes, at most a week".into()),
        };
        Ok(BusinessHours { now: roost::now().div_euclid(60_000_000) + ahead })
    }

    fn fields(&self) -> Vec<&str> {
        vec!["hours", "utc_offset"]
    }

    fn passes(&self, candidate: &Candidate) -> bool {
        let offset = match candidate.get("utc_offset") {
            Some(Value::Int(minutes)) if (-DAY..=DAY).contains(&minutes) => minutes,
            _ => 0,
        };
        let minute = (self.now + offset + FIRST_DAY * DAY).rem_euclid(WEEK);
        match candidate.get("hours") {
            Some(Value::Array(days)) => days.iter().take(7).enumerate().any(|(day, hours)| {
                let hours = hours.string().unwrap_or("");
                hours.split_whitespace().any(|span| covers(span, day as i64 * DAY, minute))
            }),
            _ => false,
        }
    }
}

/// Whether a span like "18:00-02:00" of the day that begins at `midnight` covers a minute of the week.
fn covers(span: &str, midnight: i64, minute: i64) -> bool {
    let (opens, closes) = match span.split_once('-').map(|(from, to)| (clock(from), clock(to))) {
        Some((Some(opens), Some(closes))) => (opens, closes),
        _ => return false,
    };
    let length = (closes - opens).rem_euclid(DAY);
    (minute - midnight - opens).rem_euclid(WEEK) < length
}

fn clock(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    if (0..=24).contains(&hours) && (0..60).contains(&minutes) { Some(hours * 60 + minutes) } else { None }
}

roost::filter!(BusinessHours);
