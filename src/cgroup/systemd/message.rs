//! The D-Bus messages that communication with systemd needs (D-Bus specification, "Message Protocol"). They are
//! little-endian: the sender chooses, and a peer on the same machine answers likewise.

/// The value of a property.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    I32(i32),
    I64(i64),
    U32(u32),
    U64(u64),
    F64(f64),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<u32>),
    Bytes(Vec<u8>),
    /// Paths of block devices, each with a number.
    Devices(Vec<(String, u64)>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Value::Bool(_) => "b",
            Value::I32(_) => "i",
            Value::I64(_) => "x",
            Value::U32(_) => "u",
            Value::U64(_) => "t",
            Value::F64(_) => "d",
            Value::Text(_) => "s",
            Value::Texts(_) => "as",
            Value::Numbers(_) => "au",
            Value::Bytes(_) => "ay",
            Value::Devices(_) => "a(st)",
        }
    }
}

pub type Properties = Vec<(String, Value)>;

/// An argument of a method call.
pub enum Argument<'a> {
    Text(&'a str),
    Bool(bool),
    /// a(sv)
    Properties(&'a [(String, Value)]),
    /// a(sa(sv)), always empty: systemd's auxiliary units.
    NoUnits,
}

/// A method of one interface of one object.
#[derive(Clone, Copy)]
pub struct Method {
    pub destination: &'static str,
    pub path: &'static str,
    pub interface: &'static str,
    pub member: &'static str,
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.align(8);
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(text.len() as u8);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// Writes an array: its length, without the padding before the first element, and the elements.
    fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Writer)) {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        elements(self);
        let length = (self.0.len() - start) as u32;
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn variant(&mut self, value: &Value) {
        self.signature(value.signature());
        match value {
            Value::Bool(value) => self.u32((*value).into()),
            Value::I32(value) => self.u32(value.cast_unsigned()),
            Value::U32(value) => self.u32(*value),
            Value::I64(value) => self.u64(value.cast_unsigned()),
            Value::U64(value) => self.u64(*value),
            Value::F64(value) => self.u64(value.to_bits()),
            Value::Text(value) => self.text(value),
            Value::Texts(values) => self.array(4, |writer| values.iter().for_each(|value| writer.text(value))),
            Value::Numbers(values) => self.array(4, |writer| values.iter().for_each(|value| writer.u32(*value))),
            Value::Bytes(values) => self.array(1, |writer| writer.0.extend(values)),
            Value::Devices(values) => self.array(8, |writer| {
                for (path, number) in values {
                    writer.align(8);
                    writer.text(path);
                    writer.u64(*number);
                }
            }),
        }
    }

    fn argument(&mut self, argument: &Argument) {
        match argument {
            Argument::Text(text) => self.text(text),
            Argument::Bool(value) => self.u32((*value).into()),
            Argument::NoUnits => self.array(8, |_| {}),
            Argument::Properties(list) => self.array(8, |writer| {
                for (name, value) in *list {
                    writer.align(8);
                    writer.text(name);
                    writer.variant(value);
                }
            }),
        }
    }
}

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Encodes a method call.
pub fn call(serial: u32, method: Method, arguments: &[Argument]) -> Vec<u8> {
    let mut body = Writer::default();
    let mut signature = String::new();
    for argument in arguments {
        body.argument(argument);
        signature += match argument {
            Argument::Text(_) => "s",
            Argument::Bool(_) => "b",
            Argument::Properties(_) => "a(sv)",
            Argument::NoUnits => "a(sa(sv))",
        };
    }
    // Little-endian, a method call, no flags, version 1.
    let mut message = Writer(vec![b'l', 1, 0, 1]);
    message.u32(body.0.len() as u32);
    message.u32(serial);
    let fields = [
        (PATH, "o", method.path),
        (INTERFACE, "s", method.interface),
        (MEMBER, "s", method.member),
        (DESTINATION, "s", method.destination),
    ];
    message.array(8, |writer| {
        for (code, kind, value) in fields {
            writer.align(8);
            writer.0.push(code);
            writer.signature(kind);
            writer.text(value);
        }
        if !signature.is_empty() {
            writer.align(8);
            writer.0.push(SIGNATURE);
            writer.signature("g");
            writer.signature(&signature);
        }
    });
    message.align(8);
    message.0.extend(body.0);
    message.0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Reply,
    Error,
    Signal,
    Other,
}

/// A received message.
#[derive(Debug)]
pub struct Message {
    pub kind: Kind,
    pub reply_serial: u32,
    pub member: String,
    pub error: String,
    signature: String,
    body: Vec<u8>,
}

/// The largest message accepted; systemd's are smaller.
const MAX_BYTES: usize = 1 << 20;

/// Returns the length of the message that begins with these 16 bytes, or `None` if the message is not acceptable.
pub fn length(start: &[u8; 16]) -> Option<usize> {
    let number = |at: usize| Some(u32::from_le_bytes(start.get(at..at + 4)?.try_into().ok()?) as usize);
    let (body, fields) = (number(4)?, number(12)?);
    let total = 16usize.checked_add(fields)?.checked_next_multiple_of(8)?.checked_add(body)?;
    (start[0] == b'l' && start[3] == 1 && total <= MAX_BYTES).then_some(total)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text_of(&mut self, length: usize) -> Option<String> {
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        self.take(1)?;
        Some(text)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u32()?;
        self.text_of(length as usize)
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.take(1)?[0];
        self.text_of(length.into())
    }
}

impl Message {
    /// Parses a message. Returns `None` if it does not conform to the specification.
    pub fn parse(bytes: &[u8]) -> Option<Message> {
        let kind = match bytes.get(1)? {
            2 => Kind::Reply,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => Kind::Other,
        };
        let mut reader = Reader { bytes, at: 12 };
        let end = reader.u32()? as usize + 16;
        let mut message = Message {
            kind,
            reply_serial: 0,
            member: String::new(),
            error: String::new(),
            signature: String::new(),
            body: bytes.get(end.next_multiple_of(8)..)?.to_vec(),
        };
        loop {
            reader.align(8);
            if reader.at >= end {
                return Some(message);
            }
            let code = reader.take(1)?[0];
            match reader.signature()?.as_str() {
                "u" => {
                    let number = reader.u32()?;
                    if code == REPLY_SERIAL {
                        message.reply_serial = number;
                    }
                }
                "s" | "o" => {
                    let text = reader.text()?;
                    match code {
                        MEMBER => message.member = text,
                        ERROR_NAME => message.error = text,
                        _ => {}
                    }
                }
                "g" => {
                    let text = reader.signature()?;
                    if code == SIGNATURE {
                        message.signature = text;
                    }
                }
                _ => return None,
            }
        }
    }

    /// Returns the body's strings, also those in variants, up to the first value that is neither a string nor a 32-bit
    /// number.
    pub fn texts(&self) -> Vec<String> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        let mut texts = Vec::new();
        for kind in self.signature.chars() {
            match kind {
                's' | 'o' => match reader.text() {
                    Some(text) => texts.push(text),
                    None => break,
                },
                'u' | 'i' | 'b' if reader.u32().is_some() => {}
                'v' if reader.signature().is_some_and(|kind| kind == "s") => match reader.text() {
                    Some(text) => texts.push(text),
                    None => break,
                },
                _ => break,
            }
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: Method = Method { destination: "a.b", path: "/c", interface: "d.e", member: "F" };

    #[test]
    fn the_header_gives_the_length_of_a_message() {
        let properties = vec![
            ("Slice".to_owned(), Value::Text("system.slice".to_owned())),
            ("PIDs".to_owned(), Value::Numbers(vec![1, 2])),
            ("X".to_owned(), Value::U64(7)),
            ("Y".to_owned(), Value::Bytes(vec![3])),
            ("Z".to_owned(), Value::Devices(vec![("/dev/block/8:0".to_owned(), 7), ("/dev/null".to_owned(), 8)])),
        ];
        let arguments = [Argument::Text("x.scope"), Argument::Properties(&properties), Argument::NoUnits];
        let bytes = call(7, METHOD, &arguments);
        assert_eq!(length(bytes[..16].try_into().unwrap()), Some(bytes.len()));
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.member.as_str(), message.signature.as_str()), ("F", "sa(sv)a(sa(sv))"));
        assert_eq!(message.texts(), ["x.scope"]);
    }

    /// The reply to Get of org.freedesktop.DBus.Properties.
    #[test]
    fn a_string_in_a_variant_is_read() {
        let body = b"\x01s\0\0\x03\0\0\x00257\0".to_vec();
        let message = |signature: &str, body: Vec<u8>| Message {
            kind: Kind::Reply,
            reply_serial: 1,
            member: String::new(),
            error: String::new(),
            signature: signature.to_owned(),
            body,
        };
        assert_eq!(message("v", body.clone()).texts(), ["257"]);
        assert!(message("v", body[..9].to_vec()).texts().is_empty());
        assert!(message("v", b"\x01u\0\0\x07\0\0\0".to_vec()).texts().is_empty());
    }

    #[test]
    fn an_invalid_message_is_refused() {
        assert_eq!(length(b"B\x02\0\x01\0\0\0\0\0\0\0\0\0\0\0\0"), None);
        assert_eq!(length(b"l\x02\0\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0"), None);
        let bytes = call(7, METHOD, &[Argument::Text("x")]);
        for end in 0..bytes.len() {
            // Parsing must not panic on a message truncated anywhere.
            let _ = Message::parse(&bytes[..end]).map(|message| message.texts());
        }
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] = 0xff;
            let _ = Message::parse(&broken).map(|message| message.texts());
        }
    }
}
