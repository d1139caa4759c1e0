//! Guesses the language of a text by its most common words and sets `language` to its code (ISO 639-1), or to "und"
//! when there is too little to go by. Parameters: {"field": "text"}.

use roost::{Changes, Error, Fields, Transform, Value};

const WORDS: [(&str, &str); 7] = [
    ("de", " der die das und ist nicht ein eine mit für auf dem den von zu sich auch wird wir sie es im "),
    ("en", " the of and to in is that for it with as was on are this be by not you or from at have "),
    ("es", " el la los las de que y en un una es por con no se del para su al lo como más "),
    ("fr", " le la les des et est un une dans que qui pour pas sur avec ce il au du en nous vous "),
    ("it", " il lo la gli che di e è un una per non con si del della sono da nel come più "),
    ("nl", " de het een en van ik te dat die in is niet zijn op aan met voor er maar om ook "),
    ("pt", " o a os as de que e do da em um uma para com não por mais dos se na no ao "),
];

/// Common words that a language must have, and of how many it must lead.
const MATCHES_MIN: usize = 2;

struct Language {
    field: &'static str,
}

impl Transform for Language {
    fn new(parameters: Fields<'static>) -> Result<Self, Error> {
        Ok(Language { field: parameters.string("field").ok_or("'field' must be a string, the name of a field")? })
    }

    fn fields(&self) -> Vec<&str> {
        vec![self.field]
    }

    fn transform(&mut self, record: &Fields, changes: &mut Changes) -> Result<(), Error> {
        if let Some(text) = record.string(self.field) {
            changes.set("language", Value::Str(guess(text)));
        }
        Ok(())
    }
}

fn guess(text: &str) -> &'static str {
    let mut matches = [0; WORDS.len()];
    for word in text.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()).take(500) {
        let word = format!(" {} ", word.to_lowercase());
        for (count, (_, words)) in matches.iter_mut().zip(WORDS) {
            *count += usize::from(words.contains(&word));
        }
    }
    let best = (0..WORDS.len()).max_by_key(|&index| matches[index]).unwrap_or(0);
    let is_clear = matches.iter().filter(|&&count| count == matches[best]).count() == 1;
    if matches[best] >= MATCHES_MIN && is_clear {
        WORDS[best].0
    } else {
        "und"
    }
}

roost::transform!(Language);
