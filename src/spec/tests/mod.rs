//! Invalid documents, each with the one error it gives, and valid ones.
//!
//! A case is the default configuration with some values changed. The tables are by subject.

mod bad_linux;
mod bad_mounts;
mod bad_process;
mod bad_security;
mod bad_top;
mod document;
mod exec;
mod good;
mod host;
mod networks;
mod published;

use serde_json::Value;

use super::Config;
use crate::error::{Code, Error};

/// Returns the default configuration with a root filesystem that needs no bundle.
fn base() -> Value {
    let mut value: Value = serde_json::from_str(&Config::default_json()).unwrap();
    value["root"]["path"] = "/rootfs".into();
    value
}

struct Case {
    changes: Vec<(&'static str, String)>,
    code: Code,
    path: &'static str,
    words: &'static str,
}

/// Returns a case: `value` is JSON text for the JSON pointer `place`; an empty text removes the member.
fn bad(place: &'static str, value: impl Into<String>, path: &'static str, words: &'static str) -> Case {
    Case { changes: vec![(place, value.into())], code: Code::ConfigInvalid, path, words }
}

/// Returns a case of a field that is refused because this version does not implement it, or never will.
fn unsupported(place: &'static str, value: impl Into<String>, path: &'static str) -> Case {
    Case { changes: vec![(place, value.into())], code: Code::Unsupported, path, words: "leave it out" }
}

impl Case {
    fn with(mut self, place: &'static str, value: impl Into<String>) -> Case {
        self.changes.push((place, value.into()));
        self
    }

    fn saying(mut self, words: &'static str) -> Case {
        self.words = words;
        self
    }
}

fn change(document: &mut Value, place: &str, json: &str) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    let mut at = document;
    for part in parent.split('/').skip(1) {
        at = match at {
            Value::Array(values) => &mut values[part.parse::<usize>().unwrap()],
            other => &mut other[part],
        };
    }
    match at {
        Value::Array(values) if name == "-" => values.push(parsed(json)),
        Value::Array(values) => values[name.parse::<usize>().unwrap()] = parsed(json),
        other if json.is_empty() => drop(other.as_object_mut().unwrap().remove(&name)),
        other => other[name.as_str()] = parsed(json),
    }
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Returns the text of the default configuration with changes.
fn changed(changes: &[(&str, &str)]) -> String {
    let mut document = base();
    for (place, json) in changes {
        change(&mut document, place, json);
    }
    document.to_string()
}

fn refused(case: &Case) -> Result<(), String> {
    let changes: Vec<_> = case.changes.iter().map(|(place, json)| (*place, json.as_str())).collect();
    let description = format!("{:?}", case.changes).chars().take(300).collect::<String>();
    let error = match Config::from_json(&changed(&changes), None) {
        Ok(_) => return Err(format!("{description}: accepted")),
        Err(error) => error,
    };
    explains(&error, case.code, case.path, case.words).map_err(|problem| format!("{description}: {problem}"))
}

fn explains(error: &Error, code: Code, path: &str, words: &str) -> Result<(), String> {
    let message = &error.message;
    if error.code != code {
        return Err(format!("{:?} instead of {code:?}: {message}", error.code));
    }
    if error.detail.get("json_path") != Some(&Value::from(path)) {
        return Err(format!("{:?} instead of {path}: {message}", error.detail.get("json_path")));
    }
    if !message.starts_with(path) || !message.contains(words) || message.len() > 2000 {
        return Err(format!("does not begin with the path, lacks {words:?} or is long: {message}"));
    }
    Ok(())
}

fn all_refused(cases: &[Case]) {
    let failures: Vec<String> = cases.iter().filter_map(|case| refused(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
