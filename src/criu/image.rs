//! Reads CRIU's images: magic numbers, then protobuf messages, each after its length. Images are not trusted: sizes and
//! counts are bounded, and what is malformed is an error.

use std::fs::File;
use std::io::Read;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};
use prost::encoding::{WireType, decode_key, decode_varint};

use super::ImageDir;
use crate::error::{Code, Context, Error, Result, Stage};

/// The first bytes of every image but the inventory's; four bytes for the type of image follow.
const COMMON_MAGIC: [u8; 4] = [0x19, 0x43, 0x56, 0x54];
const HEADER: usize = 8;
/// Tables are far smaller: 100,000 mounts, the kernel's limit, are about 20 MB.
const MAX_BYTES: u64 = 64 << 20;

/// Returns the error for images that do not fit the configuration.
pub fn mismatch(what: impl std::fmt::Display) -> Error {
    Error::new(Code::Criu, format!("the images do not fit the configuration: {what}")).with_stage(Stage::Criu)
}

/// A protobuf message: its fields in order.
pub struct Fields<'a>(Vec<(u32, Value<'a>)>);

#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    pub fn parse(mut rest: &'a [u8]) -> Option<Fields<'a>> {
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let (number, kind) = decode_key(&mut rest).ok()?;
            let value = match kind {
                WireType::Varint => Value::Number(decode_varint(&mut rest).ok()?),
                WireType::LengthDelimited => {
                    let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                    let (value, after) = rest.split_at_checked(length)?;
                    rest = after;
                    Value::Bytes(value)
                }
                WireType::ThirtyTwoBit => {
                    let (value, after) = rest.split_first_chunk::<4>()?;
                    rest = after;
                    Value::Number(u32::from_le_bytes(*value).into())
                }
                WireType::SixtyFourBit => {
                    let (value, after) = rest.split_first_chunk::<8>()?;
                    rest = after;
                    Value::Number(u64::from_le_bytes(*value))
                }
                _ => return None,
            };
            fields.push((number, value));
        }
        Some(Fields(fields))
    }

    /// Returns the last value of a number, as every protobuf decoder does; 0 if there is none.
    pub fn number(&self, wanted: u32) -> u64 {
        let mut values = self.0.iter().rev().filter(|(number, _)| *number == wanted);
        values.find_map(|(_, value)| if let Value::Number(found) = value { Some(*found) } else { None }).unwrap_or(0)
    }

    pub fn has(&self, wanted: u32) -> bool {
        self.0.iter().any(|(number, _)| *number == wanted)
    }

    /// Returns the last value of a text; empty if there is none.
    pub fn bytes(&self, wanted: u32) -> &'a [u8] {
        self.all_bytes(wanted).last().unwrap_or_default()
    }

    /// Returns the last value of a message.
    pub fn message(&self, wanted: u32) -> Option<Fields<'a>> {
        self.all_bytes(wanted).last().and_then(Fields::parse)
    }

    /// Returns all values of a repeated text or message.
    pub fn all_bytes(&self, wanted: u32) -> impl Iterator<Item = &'a [u8]> {
        let values = self.0.iter().filter(move |(number, _)| *number == wanted);
        values.filter_map(|(_, value)| if let Value::Bytes(found) = value { Some(*found) } else { None })
    }
}

impl ImageDir {
    /// Reads an image. Fails unless it is a regular file of a reasonable size.
    pub fn read_image(&self, name: &str) -> Result<Vec<u8>> {
        let bytes = self.read_start(name, MAX_BYTES + 1)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(damaged(name, "is larger than any image of its kind"));
        }
        Ok(bytes)
    }

    /// Reads the first bytes of an image. Fails unless it is a regular file.
    pub fn read_start(&self, name: &str, count: u64) -> Result<Vec<u8>> {
        let doing = || format!("reading {}", self.path.join(name).display());
        let failed = |error: Error| Error { code: Code::Criu, ..error }.with_stage(Stage::Criu);
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.fd, name, flags, Mode::empty()).context(doing).map_err(failed)?);
        if !file.metadata().context(doing).map_err(failed)?.is_file() {
            return Err(damaged(name, "is no regular file"));
        }
        let mut bytes = Vec::new();
        file.take(count).read_to_end(&mut bytes).context(doing).map_err(failed)?;
        Ok(bytes)
    }

    /// Checks that all images are regular files. CRIU would wait for a writer of a FIFO.
    pub fn check_regular(&self) -> Result<()> {
        for name in self.images("")? {
            let looking = || format!("looking at {}", self.path.join(&name).display());
            let status = fstatat(&self.fd, name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW).context(looking)?;
            if status.st_mode & libc::S_IFMT != libc::S_IFREG {
                return Err(damaged(&name, "is no regular file"));
            }
        }
        Ok(())
    }

    /// Returns the names of the images that start with `prefix`.
    pub fn images(&self, prefix: &str) -> Result<Vec<String>> {
        let names = self.names()?.into_iter().filter_map(|name| name.into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix) && name.ends_with(".img")).collect();
        names.sort();
        Ok(names)
    }
}

/// Splits an image into its messages, at most `limit`.
pub fn messages<'a>(name: &str, image: &'a [u8], limit: usize) -> Result<Vec<Fields<'a>>> {
    let mut rest = match image.split_at_checked(HEADER) {
        Some((header, rest)) if header.starts_with(&COMMON_MAGIC) => rest,
        _ => return Err(damaged(name, "does not begin like an image")),
    };
    let mut found = Vec::new();
    while !rest.is_empty() {
        if found.len() == limit {
            return Err(damaged(name, &format!("has more than {limit} entries")));
        }
        let (message, after) = next(rest)
            .and_then(|(bytes, after)| Some((Fields::parse(bytes)?, after)))
            .ok_or_else(|| damaged(name, &format!("is malformed at its entry {}", found.len() + 1)))?;
        found.push(message);
        rest = after;
    }
    Ok(found)
}

/// Returns the first message of an image, after which other data may follow.
pub fn first<'a>(name: &str, image: &'a [u8]) -> Result<Fields<'a>> {
    let rest = image.get(HEADER..).filter(|_| image.starts_with(&COMMON_MAGIC));
    let message = rest.and_then(next).and_then(|(bytes, _)| Fields::parse(bytes));
    message.ok_or_else(|| damaged(name, "is malformed"))
}

fn next(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

pub fn damaged(name: &str, how: &str) -> Error {
    Error::new(Code::Criu, format!("{name} {how}")).with_stage(Stage::Criu)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(entries: &[&[u8]]) -> Vec<u8> {
        let mut bytes = [&COMMON_MAGIC[..], &[1, 2, 3, 4]].concat();
        for entry in entries {
            bytes.extend(u32::try_from(entry.len()).unwrap().to_le_bytes());
            bytes.extend(*entry);
        }
        bytes
    }

    #[test]
    fn fields_are_found_and_the_last_one_counts() {
        // 1: 150, 2: "ab", 1: 1, 3: fixed32, 4: fixed64
        let entry =
            [&[8, 0x96, 1, 18, 2, b'a', b'b', 8, 1, 0x1d, 5, 0, 0, 0][..], &[0x21, 6, 0, 0, 0, 0, 0, 0, 0]].concat();
        let bytes = image(&[&entry, &[]]);
        let found = messages("x.img", &bytes, 2).unwrap();
        assert_eq!(
            (found[0].number(1), found[0].bytes(2), found[0].number(3), found[0].number(4)),
            (1, &b"ab"[..], 5, 6)
        );
        assert!(found[1].bytes(2).is_empty());
        assert!(messages("x.img", &bytes, 1).is_err_and(|error| error.message.contains("more than 1")));
    }

    #[test]
    fn what_is_cut_off_or_no_image_is_an_error() {
        let whole = image(&[&[18, 2, b'a', b'b'], &[8, 0x96, 1]]);
        for length in (0..whole.len()).filter(|length| ![8, 16].contains(length)) {
            assert!(messages("x.img", &whole[..length], 9).is_err(), "{length}");
        }
        assert!(messages("x.img", &image(&[&[18, 0xff, 0xff, 0xff, 0xff, 0x0f]]), 9).is_err());
        assert!(messages("x.img", &image(&[&[0x0b, 0x0c]]), 9).is_err(), "a group");
        assert!(messages("x.img", &[&COMMON_MAGIC[..], &[0; 4], &[0xff; 9]].concat(), 9).is_err());
    }
}
