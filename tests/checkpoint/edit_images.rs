//! Reads and writes CRIU's images, to make hostile ones of good ones: protobuf messages as lists of fields.

use std::path::Path;

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(u64),
    Text(Vec<u8>),
    Fixed(u32),
    Fixed64(u64),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message(pub Vec<(u32, Value)>);

impl Message {
    pub fn parse(mut rest: &[u8]) -> Message {
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let (number, kind) = decode_key(&mut rest).unwrap();
            let value = match kind {
                WireType::Varint => Value::Number(decode_varint(&mut rest).unwrap()),
                WireType::LengthDelimited => {
                    let length = decode_varint(&mut rest).unwrap() as usize;
                    let (value, after) = rest.split_at(length);
                    rest = after;
                    Value::Text(value.to_vec())
                }
                WireType::ThirtyTwoBit => {
                    let (value, after) = rest.split_first_chunk().unwrap();
                    rest = after;
                    Value::Fixed(u32::from_le_bytes(*value))
                }
                WireType::SixtyFourBit => {
                    let (value, after) = rest.split_first_chunk().unwrap();
                    rest = after;
                    Value::Fixed64(u64::from_le_bytes(*value))
                }
                other => panic!("{other:?}"),
            };
            fields.push((number, value));
        }
        Message(fields)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, value) in &self.0 {
            match value {
                Value::Number(value) => {
                    encode_key(*number, WireType::Varint, &mut bytes);
                    encode_varint(*value, &mut bytes);
                }
                Value::Text(text) => {
                    encode_key(*number, WireType::LengthDelimited, &mut bytes);
                    encode_varint(text.len() as u64, &mut bytes);
                    bytes.extend(text);
                }
                Value::Fixed(value) => {
                    encode_key(*number, WireType::ThirtyTwoBit, &mut bytes);
                    bytes.extend(value.to_le_bytes());
                }
                Value::Fixed64(value) => {
                    encode_key(*number, WireType::SixtyFourBit, &mut bytes);
                    bytes.extend(value.to_le_bytes());
                }
            }
        }
        bytes
    }

    pub fn number(&self, wanted: u32) -> u64 {
        match self.0.iter().find(|(number, _)| *number == wanted) {
            Some((_, Value::Number(value))) => *value,
            Some((_, Value::Fixed(value))) => u64::from(*value),
            _ => 0,
        }
    }

    pub fn text(&self, wanted: u32) -> String {
        match self.0.iter().find(|(number, _)| *number == wanted) {
            Some((_, Value::Text(text))) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        }
    }

    pub fn message(&self, wanted: u32) -> Message {
        match self.0.iter().find(|(number, _)| *number == wanted) {
            Some((_, Value::Text(bytes))) => Message::parse(bytes),
            _ => panic!("no field {wanted} in {self:?}"),
        }
    }

    pub fn without(&mut self, wanted: u32) -> &mut Message {
        self.0.retain(|(number, _)| *number != wanted);
        self
    }

    /// Sets a field, which then is the only one of its number.
    pub fn set(&mut self, number: u32, value: Value) -> &mut Message {
        let place = self.0.iter().position(|(other, _)| *other == number).unwrap_or(self.0.len());
        self.without(number);
        self.0.insert(place.min(self.0.len()), (number, value));
        self
    }

    pub fn set_number(&mut self, number: u32, value: u64) -> &mut Message {
        self.set(number, Value::Number(value))
    }

    pub fn set_text(&mut self, number: u32, value: &str) -> &mut Message {
        self.set(number, Value::Text(value.into()))
    }

    /// Changes a message within the message.
    pub fn edit(&mut self, number: u32, change: impl FnOnce(&mut Message)) -> &mut Message {
        let mut inner = self.message(number);
        change(&mut inner);
        self.set(number, Value::Text(inner.bytes()))
    }
}

/// Returns the messages of an image.
pub fn read(image: &Path) -> Vec<Message> {
    let bytes = std::fs::read(image).unwrap();
    let mut rest = &bytes[8..];
    let mut messages = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (message, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        messages.push(Message::parse(message));
        rest = after;
    }
    messages
}

pub fn write(image: &Path, messages: &[Message]) {
    let mut bytes = std::fs::read(image).unwrap()[..8].to_vec();
    for message in messages {
        let message = message.bytes();
        bytes.extend(u32::try_from(message.len()).unwrap().to_le_bytes());
        bytes.extend(message);
    }
    std::fs::write(image, bytes).unwrap();
}

/// Changes the messages of an image.
pub fn edit(image: &Path, change: impl FnOnce(&mut Vec<Message>)) {
    let mut messages = read(image);
    change(&mut messages);
    write(image, &messages);
}
