//! Fits a JSON document to a table of its fields.
//!
//! The types of the OCI crate alone would accept too much: serde also reads a struct from an array, takes a missing id
//! for 0, and drops unknown fields. Here a value must have exactly the type of the table, or is refused with its path;
//! fields that the specification knows and this version does not implement are refused; fields that the specification
//! does not know are left out, as it demands.

use serde_json::{Map, Number, Value};

use crate::error::{Error, Result};

/// The type of a value.
pub(super) enum Kind {
    Bool,
    Text,
    /// One of a list of strings; the first member tells what they are.
    OneOf(&'static str, &'static [&'static str]),
    /// An integer between two bounds, both included.
    Int(i128, i128),
    Object(&'static [Field]),
    List(&'static Kind),
    /// An object whose member names are data.
    Map(&'static Kind),
}

pub(super) const U32: Kind = Kind::Int(0, u32::MAX as i128);
pub(super) const U64: Kind = Kind::Int(0, u64::MAX as i128);
pub(super) const I64: Kind = Kind::Int(i64::MIN as i128, i64::MAX as i128);
pub(super) const TEXTS: Kind = Kind::List(&Kind::Text);

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
}

pub(super) enum Rule {
    Required(Kind),
    Optional(Kind),
    /// A known field that is refused, with the reason. Refused even if it is empty, since an empty value is a request,
    /// too.
    Refused(&'static str),
    /// A field of another platform, with the reason.
    Never(&'static str),
}

pub(super) const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, rule: Rule::Required(kind) }
}

pub(super) const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, rule: Rule::Optional(kind) }
}

pub(super) const fn refused(name: &'static str, reason: &'static str) -> Field {
    Field { name, rule: Rule::Refused(reason) }
}

pub(super) const fn never(name: &'static str, reason: &'static str) -> Field {
    Field { name, rule: Rule::Never(reason) }
}

/// The position of a value in the document. Formatted only for an error: most documents have none.
#[derive(Clone, Copy)]
enum At<'a> {
    Top,
    /// The top of a document that is a part of another, with its path there.
    Part(&'a str),
    Member(&'a At<'a>, &'a str),
    Element(&'a At<'a>, usize),
}

impl At<'_> {
    fn path(&self) -> String {
        match self {
            At::Top => String::new(),
            At::Part(path) => (*path).to_owned(),
            At::Member(of, name) => join(&of.path(), name),
            At::Element(of, index) => format!("{}[{index}]", of.path()),
        }
    }
}

/// Returns the document with the members that the table knows, without nulls.
pub(super) fn fit(mut value: Value, kind: &Kind) -> Result<Value> {
    fit_at(&mut value, kind, &At::Top)?;
    Ok(value)
}

/// Fits a part of a document, which belongs at `path`.
pub(super) fn fit_part(mut value: Value, kind: &Kind, path: &str) -> Result<Value> {
    fit_at(&mut value, kind, &At::Part(path))?;
    Ok(value)
}

fn fit_at(value: &mut Value, kind: &Kind, path: &At) -> Result<()> {
    match (kind, &mut *value) {
        (Kind::Bool, Value::Bool(_)) => Ok(()),
        (Kind::Text, Value::String(text)) => no_nul(text, path),
        (Kind::OneOf(_, values), Value::String(text)) if values.contains(&text.as_str()) => Ok(()),
        (Kind::Int(min, max), Value::Number(number)) if exact(number).is_some_and(|n| (*min..=*max).contains(&n)) => {
            Ok(())
        }
        (Kind::List(element), Value::Array(values)) => {
            let mut values = values.iter_mut().enumerate();
            values.try_for_each(|(index, value)| fit_at(value, element, &At::Element(path, index)))
        }
        (Kind::Map(element), Value::Object(members)) => members.iter_mut().try_for_each(|(name, value)| {
            let path = At::Member(path, name);
            no_nul(name, &path)?;
            fit_at(value, element, &path)
        }),
        (Kind::Object(fields), Value::Object(members)) => {
            *members = fit_object(std::mem::take(members), fields, path)?;
            Ok(())
        }
        _ => Err(type_error(value, kind, path)),
    }
}

/// Returns the exact value of an integer. None for a number with a fraction or an exponent, and for one beyond 64 bits,
/// which serde_json rounds.
fn exact(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// Returns whether the table has a field and implements it. In `path`, such as `linux.seccomp`, a list stands for its
/// elements.
pub(super) fn implements(kind: &Kind, path: &str) -> bool {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    match kind {
        _ if path.is_empty() => true,
        Kind::List(element) => implements(element, path),
        Kind::Object(fields) => fields.iter().any(|field| match &field.rule {
            Rule::Required(kind) | Rule::Optional(kind) => field.name == name && implements(kind, rest),
            _ => false,
        }),
        _ => false,
    }
}

/// Returns each object of the table by its path, with the names of its fields. A list stands for its elements, "*" for
/// names that are data.
#[cfg(test)]
pub(super) fn objects(kind: &Kind, path: &str, found: &mut Vec<(String, Vec<&'static str>)>) {
    match kind {
        Kind::List(element) => objects(element, path, found),
        Kind::Map(element) => objects(element, &join_plain(path, "*"), found),
        Kind::Object(fields) => {
            found.push((path.to_owned(), fields.iter().map(|field| field.name).collect()));
            for field in *fields {
                if let Rule::Required(kind) | Rule::Optional(kind) = &field.rule {
                    objects(kind, &join_plain(path, field.name), found);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
fn join_plain(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Refuses member names that the table does not have.
pub(super) fn refuse_unknown(value: &Value, kind: &Kind) -> Result<()> {
    refuse_unknown_at(value, kind, &At::Top)
}

fn refuse_unknown_at(value: &Value, kind: &Kind, path: &At) -> Result<()> {
    match (kind, value) {
        (Kind::List(element), Value::Array(values)) => {
            let mut values = values.iter().enumerate();
            values.try_for_each(|(index, value)| refuse_unknown_at(value, element, &At::Element(path, index)))
        }
        (Kind::Object(fields), Value::Object(members)) => members.iter().try_for_each(|(name, value)| {
            let path = At::Member(path, name);
            let known = fields.iter().find(|field| field.name == name);
            match known.map(|field| &field.rule) {
                Some(Rule::Required(kind) | Rule::Optional(kind)) => refuse_unknown_at(value, kind, &path),
                Some(_) => Ok(()),
                None => {
                    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                    Err(Error::config(&path.path(), format!("is not known; expected one of: {}", names.join(", "))))
                }
            }
        }),
        _ => Ok(()),
    }
}

/// Returns the members that the table has, in the table's order.
fn fit_object(mut members: Map<String, Value>, fields: &[Field], path: &At) -> Result<Map<String, Value>> {
    let mut kept = Map::with_capacity(members.len());
    for field in fields {
        let path = At::Member(path, field.name);
        let member = members.swap_remove_entry(field.name).filter(|(_, value)| !value.is_null());
        match (&field.rule, member) {
            (Rule::Required(kind), None) => {
                return Err(Error::config(
                    &path.path(),
                    format!("is required and missing; expected {}", expected(kind)),
                ));
            }
            (Rule::Required(kind) | Rule::Optional(kind), Some((name, mut value))) => {
                fit_at(&mut value, kind, &path)?;
                kept.insert(name, value);
            }
            (Rule::Refused(reason), Some(_)) => return Err(Error::unsupported_field(&path.path(), reason)),
            (Rule::Never(reason), Some((_, value))) if !is_empty_value(&value) => {
                return Err(Error::unsupported_field(&path.path(), reason));
            }
            _ => {}
        }
    }
    Ok(kept)
}

fn is_empty_value(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Refuses a NUL, at which every system call would cut the string.
fn no_nul(text: &str, path: &At) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::config(
            &path.path(),
            format!("{text:?} contains a NUL character; expected text without one"),
        ));
    }
    Ok(())
}

fn type_error(value: &Value, kind: &Kind, path: &At) -> Error {
    let path = match path {
        At::Top => "(document)".to_owned(),
        inside => inside.path(),
    };
    Error::config(&path, format!("{} is not valid here; expected {}", shown(value), expected(kind)))
}

/// Formats a value as in the document, shortened to fit in an error message.
pub(super) fn shown(value: &Value) -> String {
    const MAX: usize = 100;
    let text = value.to_string();
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Text => "a string".to_owned(),
        Kind::OneOf(what, values) if values.len() <= 20 => format!("{what}: {}", values.join(", ")),
        Kind::OneOf(what, _) => (*what).to_owned(),
        Kind::Int(min, max) => format!("a whole number from {min} to {max}"),
        Kind::Object(_) | Kind::Map(_) => "an object".to_owned(),
        Kind::List(Kind::Text | Kind::OneOf(..)) => "an array of strings".to_owned(),
        Kind::List(Kind::Int(..)) => "an array of whole numbers".to_owned(),
        Kind::List(_) => "an array of objects".to_owned(),
    }
}

/// Appends a name to a path. Names that would be ambiguous in a path are quoted: `annotations["a.b"]`.
pub(crate) fn join(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    // A hundred characters of a name identify it; an error message must not contain a megabyte.
    let name = name.char_indices().nth(100).map_or(name, |(end, _)| &name[..end]);
    match (path.is_empty(), plain) {
        (true, true) => name.to_owned(),
        (false, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[{name:?}]"),
    }
}
