//! Roost guest SDK for Rust: filters, scorers, transforms and embedders in a few lines. What lies beneath is
//! `spec/wasm-abi.md`; build with `roost module build FILE.rs`. No dependencies. The standard library is there, as far
//! as it needs no operating system; a panic ends the query, and its message goes to the node's log.

mod changes;
pub mod export;
mod fields;

use std::borrow::Cow;

pub use changes::Changes;
pub use fields::{Elements, Fields, Value};

/// Why a guest gives up; shown to the user.
pub struct Error(pub Cow<'static, str>);

impl From<&'static str> for Error {
    fn from(text: &'static str) -> Error {
        Error(Cow::Borrowed(text))
    }
}

impl From<String> for Error {
    fn from(text: String) -> Error {
        Error(Cow::Owned(text))
    }
}

/// A record that a search has come upon.
pub struct Candidate<'a> {
    /// Its payload, or those fields of it that were declared.
    pub fields: Fields<'a>,
    /// To what is searched near; 0 for a filter.
    pub distance: f32,
    /// Empty when none was declared; NaNs when the record has none.
    pub vector: &'a [f32],
}

impl<'a> Candidate<'a> {
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        self.fields.get(name)
    }
    pub fn number(&self, name: &str) -> Option<f64> {
        self.fields.number(name)
    }
    pub fn string(&self, name: &str) -> Option<&'a str> {
        self.fields.string(name)
    }
    pub fn bool(&self, name: &str) -> Option<bool> {
        self.fields.bool(name)
    }
}

/// Decides about candidates. Followed by `roost::filter!(YourType);`.
pub trait Filter: Sized {
    /// Reads the parameters of the query; an error fails the query with its words.
    fn new(parameters: Fields<'static>) -> Result<Self, Error>;
    /// The payload fields that `passes` reads; the host then copies just these. Empty: all.
    fn fields(&self) -> Vec<&str> {
        Vec::new()
    }
    /// The vector field that `passes` reads; "*" is the one that is searched.
    fn vector(&self) -> Option<&str> {
        None
    }
    fn passes(&self, candidate: &Candidate) -> bool;
}

/// Orders the nearest candidates. Followed by `roost::scorer!(YourType);`.
pub trait Scorer: Sized {
    fn new(parameters: Fields<'static>) -> Result<Self, Error>;
    fn fields(&self) -> Vec<&str> {
        Vec::new()
    }
    fn vector(&self) -> Option<&str> {
        None
    }
    /// Told once what is searched near; empty when that is no single vector.
    fn begin(&mut self, _query: &[f32]) {}
    /// Larger is better, `LEAVE_OUT` keeps the candidate out of the hits. Nearest candidates first.
    fn score(&mut self, candidate: &Candidate) -> f32;
}

/// The score of what is not to be a hit.
pub const LEAVE_OUT: f32 = f32::NEG_INFINITY;

/// Derives attributes of records that are put. Followed by `roost::transform!(YourType);`.
pub trait Transform: Sized {
    /// Reads the parameters that the collection has for it.
    fn new(parameters: Fields<'static>) -> Result<Self, Error>;
    fn fields(&self) -> Vec<&str> {
        Vec::new()
    }
    /// Says what changes; an error refuses the record with its words.
    fn transform(&mut self, record: &Fields, changes: &mut Changes) -> Result<(), Error>;
}

/// Makes vectors of texts. Followed by `roost::embedder!(YourType);`.
pub trait Embedder: Sized {
    /// The length of the vectors, 1 to 4096.
    const DIMENSION: usize;
    fn new() -> Self;
    /// Writes the vector of one text into zeros.
    fn embed(&mut self, text: &str, vector: &mut [f32]) -> Result<(), Error>;
}

/// Makes vectors of images, signals or other bytes. Followed by `roost::bytes_embedder!(YourType);`.
pub trait BytesEmbedder: Sized {
    const DIMENSION: usize;
    fn new() -> Self;
    fn embed(&mut self, bytes: &[u8], vector: &mut [f32]) -> Result<(), Error>;
}

mod host {
    #[link(wasm_import_module = "roost")]
    extern "C" {
        pub fn log(level: i32, line: *const u8, size: u32);
        pub fn clock() -> i64;
        pub fn random(key: i64) -> i64;
        pub fn kv_get(key: *const u8, size: u32, target: *mut u8, capacity: u32) -> i32;
    }
}

pub enum Level {
    Debug = 0,
    Info = 1,
    Warning = 2,
    Error = 3,
}

/// Writes a line to the node's log.
pub fn log(level: Level, line: &str) {
    unsafe { host::log(level as i32, line.as_ptr(), line.len() as u32) }
}

/// Microseconds since 1970-01-01T00:00:00Z, the same throughout a query. Needs the capability `clock`.
pub fn now() -> i64 {
    unsafe { host::clock() }
}

/// A random number that depends on the key and the query's parameters alone. Needs the capability `random`.
pub fn random(key: i64) -> u64 {
    unsafe { host::random(key) as u64 }
}

/// A value that was published with the module, as the host encodes it. Needs the capability `kv`.
pub struct State(Vec<u8>);

impl State {
    pub fn value(&self) -> Value<'_> {
        fields::value(&self.0)
    }
}

/// Finds a value that was published with the module.
pub fn state(key: &str) -> Option<State> {
    let mut found = Vec::with_capacity(64);
    loop {
        let size = unsafe { host::kv_get(key.as_ptr(), key.len() as u32, found.as_mut_ptr(), found.capacity() as u32) };
        if size < 0 {
            return None;
        }
        if size as usize <= found.capacity() {
            unsafe { found.set_len(size as usize) };
            return Some(State(found));
        }
        found.reserve(size as usize);
    }
}
