//! Parses JSON text strictly: a name that appears twice in one object is refused, because two readers (one that checks
//! the text and one that executes it) may use different ones of the two.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::shape::{self, Kind};
use crate::error::{Code, Error, Result};

/// Parses a text to a value that fits `kind`. `name` is the name of the text in errors.
pub(super) fn fit(text: &str, name: &str, kind: &Kind) -> Result<Value> {
    shape::fit(parse(text, name)?, kind)
}

/// Parses a part of a configuration, which belongs at the JSON path `path`.
pub(super) fn fit_part(text: &str, name: &str, kind: &Kind, path: &str) -> Result<Value> {
    shape::fit_part(parse(text, name)?, kind, path)
}

/// Parses a document of a format of this library. Nobody else adds fields to it, so an unknown name is an error.
pub(super) fn fit_closed(text: &str, name: &str, kind: &Kind) -> Result<Value> {
    let value = parse(text, name)?;
    shape::refuse_unknown(&value, kind)?;
    shape::fit(value, kind)
}

/// Converts a value to the OCI crate's type. The table of fields has checked the types already; serde finds the
/// differences between the table and the crate, which must not pass silently either.
pub(super) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(value).or_else(|_| {
        // Only after a failure, because tracking the path takes time.
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            Error::config(&path, error.into_inner())
        })
    })
}

pub(super) fn parse(text: &str, name: &str) -> Result<Value> {
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = Strict::deserialize(&mut json).and_then(|value| json.end().map(|()| value.0));
    parsed.map_err(|error| {
        Error::new(Code::ConfigInvalid, format!("{name} is not valid JSON: {error}"))
            .detail("line", error.line())
            .detail("column", error.column())
    })
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = elements.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match map.entry(name) {
                Entry::Vacant(place) => {
                    let Strict(value) = members.next_value()?;
                    place.insert(value);
                }
                Entry::Occupied(place) => {
                    return Err(A::Error::custom(format!("{:?} occurs twice in one object", place.key())));
                }
            }
        }
        Ok(Value::Object(map))
    }
}
