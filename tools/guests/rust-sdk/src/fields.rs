//! Payloads and parameters, read in place (spec/wasm-abi.md, "Payloads"). The host writes them, so lengths in them and
//! their UTF-8 are trusted.

/// One attribute value.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(&'a str),
    Bytes(&'a [u8]),
    /// Degrees.
    Geo { latitude: f64, longitude: f64 },
    /// Microseconds since 1970-01-01T00:00:00Z.
    Datetime(i64),
    Array(Elements<'a>),
    Map(Fields<'a>),
}

impl<'a> Value<'a> {
    /// An int or a double as a double.
    pub fn number(&self) -> Option<f64> {
        match *self {
            Value::Int(number) => Some(number as f64),
            Value::Double(number) => Some(number),
            _ => None,
        }
    }

    pub fn string(&self) -> Option<&'a str> {
        match *self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }
}

/// Named values.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes }
    }

    /// The value of a field. Reads the fields before it, but not their values.
    #[inline]
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        let mut cursor = Cursor { rest: self.bytes };
        for _ in 0..cursor.varint() {
            let found = cursor.run();
            if found == name.as_bytes() {
                return Some(cursor.value());
            }
            cursor.skip();
        }
        None
    }

    /// All fields, ascending by the bytes of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let mut cursor = Cursor { rest: self.bytes };
        (0..cursor.varint()).map(move |_| (text(cursor.run()), cursor.value()))
    }

    #[inline]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.number()
    }

    #[inline]
    pub fn string(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.string()
    }

    #[inline]
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }
}

/// The elements of an array.
#[derive(Clone, Copy)]
pub struct Elements<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Elements<'a> {
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> {
        let mut cursor = Cursor { rest: self.bytes };
        (0..cursor.varint()).map(move |_| cursor.value())
    }
}

/// The value that these bytes encode.
pub(crate) fn value(bytes: &[u8]) -> Value<'_> {
    Cursor { rest: bytes }.value()
}

fn text(bytes: &[u8]) -> &str {
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.rest.split_at(count);
        self.rest = tail;
        head
    }

    #[inline]
    fn word(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8));
        u64::from_le_bytes(bytes)
    }

    #[inline]
    fn size(&mut self) -> usize {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4));
        u32::from_le_bytes(bytes) as usize
    }

    #[inline]
    fn varint(&mut self) -> usize {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.take(1)[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
            shift += 7;
        }
    }

    /// A length and that many bytes.
    #[inline]
    fn run(&mut self) -> &'a [u8] {
        let count = self.varint();
        self.take(count)
    }

    #[inline]
    fn skip(&mut self) {
        let count = match self.take(1)[0] {
            3 | 4 | 8 => 8,
            7 => 16,
            5 | 6 => self.varint(),
            9 | 10 => self.size(),
            _ => 0,
        };
        self.take(count);
    }

    #[inline]
    fn value(&mut self) -> Value<'a> {
        match self.take(1)[0] {
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Int(self.word() as i64),
            4 => Value::Double(f64::from_bits(self.word())),
            5 => Value::Str(text(self.run())),
            6 => Value::Bytes(self.run()),
            7 => Value::Geo { latitude: f64::from_bits(self.word()), longitude: f64::from_bits(self.word()) },
            8 => Value::Datetime(self.word() as i64),
            9 => {
                let size = self.size();
                Value::Array(Elements { bytes: self.take(size) })
            }
            10 => {
                let size = self.size();
                Value::Map(Fields { bytes: self.take(size) })
            }
            _ => Value::Null,
        }
    }
}
