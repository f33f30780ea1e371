//! The published JSON schemas of the OCI runtime specification (tests/oci-schema).
//!
//! Supports the part of JSON Schema (draft 4) that these files use, and panics on any other keyword, so that a new
//! version of the schemas cannot add a constraint that the tests silently ignore.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// The schema files by name.
pub struct Schemas(BTreeMap<String, Value>);

/// A schema and the file that contains it.
#[derive(Clone, Copy)]
pub struct Schema<'a> {
    all: &'a Schemas,
    file: &'a str,
    value: &'a Value,
}

const KEYWORDS: [&str; 16] = [
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "description",
    "enum",
    "items",
    "maximum",
    "minItems",
    "minimum",
    "pattern",
    "patternProperties",
    "properties",
    "required",
    "type",
];

impl Schemas {
    pub fn published() -> Schemas {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oci-schema");
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                files.insert(name, serde_json::from_str(&text).unwrap());
            }
        }
        Schemas(files)
    }

    /// Returns the schema of a whole file.
    pub fn file(&self, name: &str) -> Schema<'_> {
        let (file, value) = self.0.get_key_value(name).unwrap_or_else(|| panic!("tests/oci-schema lacks {name}"));
        Schema { all: self, file, value }
    }
}

impl<'a> Schema<'a> {
    /// Resolves a reference such as `defs.json#/definitions/UID`.
    fn target(self, reference: &str) -> Schema<'a> {
        let (file, pointer) = reference.split_once('#').unwrap();
        let file = if file.is_empty() { self.file } else { file };
        let whole = self.all.file(file);
        let value = whole.value.pointer(pointer).unwrap_or_else(|| panic!("{file} has no {pointer}"));
        Schema { value, ..whole }
    }

    fn at(self, value: &'a Value) -> Schema<'a> {
        Schema { value, ..self }
    }

    /// Returns all schemas that apply here: references resolved, `allOf` and `anyOf` with one alternative flattened.
    fn parts(self) -> Vec<Schema<'a>> {
        for keyword in self.value.as_object().unwrap().keys() {
            assert!(KEYWORDS.contains(&keyword.as_str()), "{}: the keyword {keyword} is not known", self.file);
        }
        // Draft 4 ignores the siblings of a `$ref`.
        if let Some(reference) = self.value["$ref"].as_str() {
            return self.target(reference).parts();
        }
        let mut parts = vec![self];
        for part in self.value["allOf"].as_array().into_iter().flatten() {
            parts.extend(self.at(part).parts());
        }
        if let Some(alternatives) = self.value["anyOf"].as_array() {
            assert_eq!(alternatives.len(), 1, "{}: alternatives are not known", self.file);
            parts.extend(self.at(&alternatives[0]).parts());
        }
        parts
    }

    fn find<T>(self, keyword: &str, read: impl Fn(Schema<'a>, &'a Value) -> Option<T>) -> Option<T> {
        self.parts().into_iter().find_map(|part| read(part, part.value.get(keyword)?))
    }

    /// Returns the type: "string", "integer", "boolean", "array" or "object".
    pub fn kind(self) -> &'a str {
        self.find("type", |_, value| value.as_str())
            .unwrap_or_else(|| panic!("{}: {} has no type", self.file, self.value))
    }

    /// Returns the named members of an object.
    pub fn members(self) -> BTreeMap<&'a str, Schema<'a>> {
        let mut members = BTreeMap::new();
        for part in self.parts() {
            for (name, value) in part.value["properties"].as_object().into_iter().flatten() {
                members.insert(name.as_str(), part.at(value));
            }
        }
        members
    }

    /// Returns the schema of members that are not named (`additionalProperties`, `patternProperties`).
    pub fn any_member(self) -> Option<Schema<'a>> {
        let by_pattern = self.find("patternProperties", |part, value| {
            let patterns = value.as_object()?;
            assert!(patterns.keys().eq([".{1,}"]), "{}: names by a pattern are not known", self.file);
            Some(part.at(&patterns[".{1,}"]))
        });
        by_pattern.or_else(|| self.find("additionalProperties", |part, value| Some(part.at(value))))
    }

    /// Returns the names of the required members.
    pub fn required(self) -> BTreeSet<&'a str> {
        let lists = self.parts().into_iter().filter_map(|part| part.value["required"].as_array());
        lists.flatten().map(|name| name.as_str().unwrap()).collect()
    }

    /// Returns the schema of an array's elements.
    pub fn items(self) -> Option<Schema<'a>> {
        self.find("items", |part, value| Some(part.at(value)))
    }

    pub fn least_items(self) -> u64 {
        self.find("minItems", |_, value| value.as_u64()).unwrap_or(0)
    }

    /// Returns the allowed strings, if they are enumerated.
    pub fn values(self) -> Option<BTreeSet<&'a str>> {
        let values = self.find("enum", |_, value| value.as_array())?;
        Some(values.iter().map(|value| value.as_str().unwrap()).collect())
    }

    pub fn pattern(self) -> Option<&'a str> {
        self.find("pattern", |_, value| value.as_str())
    }

    /// Returns the minimum and the maximum.
    pub fn bounds(self) -> (Option<i128>, Option<i128>) {
        (self.find("minimum", |_, value| whole(value)), self.find("maximum", |_, value| whole(value)))
    }

    /// Returns the violations of the schema in a document, each as "path: reason".
    pub fn problems(self, document: &Value) -> Vec<String> {
        let mut problems = Vec::new();
        self.check(document, "(document)", &mut problems);
        problems
    }

    fn check(self, value: &Value, path: &str, problems: &mut Vec<String>) {
        let mut wrong = |reason: String| problems.push(format!("{path}: {reason}"));
        match (self.kind(), value) {
            ("boolean", Value::Bool(_)) => {}
            ("string", Value::String(text)) => {
                if self.values().is_some_and(|values| !values.contains(text.as_str())) {
                    wrong(format!("{text:?} is none of the values"));
                }
                if self.pattern().is_some_and(|pattern| !matches(pattern, text)) {
                    wrong(format!("{text:?} does not match the pattern"));
                }
            }
            ("integer", Value::Number(_)) => {
                let (least, greatest) = self.bounds();
                match whole(value) {
                    None => wrong(format!("{value} is not a whole number")),
                    Some(number) if least.is_some_and(|least| number < least) => {
                        wrong(format!("{number} is too small"))
                    }
                    Some(number) if greatest.is_some_and(|greatest| number > greatest) => {
                        wrong(format!("{number} is too great"));
                    }
                    Some(_) => {}
                }
            }
            ("array", Value::Array(elements)) => {
                if (elements.len() as u64) < self.least_items() {
                    wrong("has too few elements".to_owned());
                }
                for (index, element) in elements.iter().enumerate() {
                    self.items().unwrap().check(element, &format!("{path}[{index}]"), problems);
                }
            }
            ("object", Value::Object(members)) => {
                for name in self.required().into_iter().filter(|name| !members.contains_key(*name)) {
                    wrong(format!("lacks {name}"));
                }
                let named = self.members();
                for (name, member) in members {
                    if let Some(schema) = named.get(name.as_str()).copied().or_else(|| self.any_member()) {
                        schema.check(member, &format!("{path}.{name}"), problems);
                    }
                }
            }
            (kind, value) => wrong(format!("{value} is not of the type {kind}")),
        }
    }
}

fn whole(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

pub fn matches(pattern: &str, text: &str) -> bool {
    regex_lite::Regex::new(pattern).unwrap().is_match(text)
}
