//! What a transform changes in a record, encoded as the host reads it.

use crate::Value;
use std::collections::BTreeMap;

/// Attributes to set or remove. Of two changes of one field the last one counts.
#[derive(Default)]
pub struct Changes {
    entries: BTreeMap<String, Vec<u8>>,
}

impl Changes {
    pub fn set(&mut self, name: &str, value: Value) {
        let mut bytes = Vec::new();
        encode(value, &mut bytes);
        self.entries.insert(name.into(), bytes);
    }

    pub fn remove(&mut self, name: &str) {
        self.set(name, Value::Null);
    }

    /// The payload of changes.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint(self.entries.len(), &mut bytes);
        for (name, value) in &self.entries {
            run(name.as_bytes(), &mut bytes);
            bytes.extend_from_slice(value);
        }
        bytes
    }
}

fn varint(mut value: usize, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn run(content: &[u8], bytes: &mut Vec<u8>) {
    varint(content.len(), bytes);
    bytes.extend_from_slice(content);
}

fn sized(content: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
    bytes.extend_from_slice(content);
}

fn encode(value: Value, bytes: &mut Vec<u8>) {
    let tag = bytes.len();
    bytes.push(0);
    bytes[tag] = match value {
        Value::Null => 0,
        Value::Bool(flag) => 1 + u8::from(flag),
        Value::Int(number) => {
            bytes.extend_from_slice(&number.to_le_bytes());
            3
        }
        Value::Double(number) => {
            bytes.extend_from_slice(&number.to_le_bytes());
            4
        }
        Value::Str(text) => {
            run(text.as_bytes(), bytes);
            5
        }
        Value::Bytes(content) => {
            run(content, bytes);
            6
        }
        Value::Geo { latitude, longitude } => {
            bytes.extend_from_slice(&latitude.to_le_bytes());
            bytes.extend_from_slice(&longitude.to_le_bytes());
            7
        }
        Value::Datetime(micros) => {
            bytes.extend_from_slice(&micros.to_le_bytes());
            8
        }
        Value::Array(elements) => {
            sized(elements.bytes, bytes);
            9
        }
        Value::Map(fields) => {
            sized(fields.bytes, bytes);
            10
        }
    };
}
