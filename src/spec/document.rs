//! JSON text to a value, strictly: a name that stands twice in one object is refused, because two
//! readers (the one who checked the text and the one who obeys it) may take different ones of the two.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::shape::{self, Kind};
use crate::error::{Code, Error, Result};

/// The text as a value that fits `kind`. `name` is what the text is called in errors.
pub(super) fn fit(text: &str, name: &str, kind: &Kind) -> Result<Value> {
    shape::fit(parse(text, name)?, kind)
}

/// The same for the part of a configuration that has its place at `path`.
pub(super) fn fit_part(text: &str, name: &str, kind: &Kind, path: &str) -> Result<Value> {
    shape::fit_part(parse(text, name)?, kind, path)
}

/// The same for a document of our own: nobody may add to it, so a name that it does not know is a mistake.
pub(super) fn fit_closed(text: &str, name: &str, kind: &Kind) -> Result<Value> {
    let value = parse(text, name)?;
    shape::refuse_unknown(&value, kind)?;
    shape::fit(value, kind)
}

/// The value as the OCI crate's type. The table has checked the types already; what is left for serde
/// are differences between the two, which must not pass silently either.
pub(super) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(value).or_else(|_| {
        // Only a failure is worth keeping track of where it is.
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
                    return Err(A::Error::custom(format!("{:?} stands twice in one object", place.key())));
                }
            }
        }
        Ok(Value::Object(map))
    }
}
