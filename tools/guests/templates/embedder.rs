//! Embeds text by how often each letter from a to z occurs in it, upper case or lower.

use roost::{Embedder, Error};

struct Example;

impl Embedder for Example {
    const DIMENSION: usize = 27;

    fn new() -> Self {
        Example
    }

    fn embed(&mut self, text: &str, vector: &mut [f32]) -> Result<(), Error> {
        // The last element tells texts without letters from nothing at all.
        vector[26] = 1.0;
        for letter in text.bytes().filter(u8::is_ascii_alphabetic) {
            vector[usize::from(letter.to_ascii_lowercase() - b'a')] += 1.0;
        }
        Ok(())
    }
}

roost::embedder!(Example);
