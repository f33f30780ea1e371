//! Stores paths in JSON: as text if they are UTF-8, as almost all are, otherwise as an array of bytes, because paths of
//! the host may contain any bytes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Bytes(Vec<u8>),
}

pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => text.serialize(serializer),
        None => path.as_os_str().as_bytes().serialize(serializer),
    }
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Ok(match Form::deserialize(deserializer)? {
        Form::Text(text) => text.into(),
        Form::Bytes(bytes) => OsString::from_vec(bytes).into(),
    })
}

/// Stores an optional path in the same way.
pub mod optional {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct AnyPath(#[serde(with = "super")] PathBuf);

    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.clone().map(AnyPath).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<AnyPath>::deserialize(deserializer)?.map(|AnyPath(path)| path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Paths {
        #[serde(with = "super")]
        one: PathBuf,
        #[serde(with = "super::optional")]
        two: Option<PathBuf>,
    }

    #[test]
    fn paths_with_any_bytes_are_restored() {
        let odd = PathBuf::from(OsString::from_vec(b"/lat\xe9in".to_vec()));
        for (one, two) in [("/a".into(), None), ("/\u{e9}".into(), Some("/b".into())), (odd.clone(), Some(odd))] {
            let paths = Paths { one, two };
            let text = serde_json::to_string(&paths).unwrap();
            assert_eq!(serde_json::from_str::<Paths>(&text).unwrap(), paths, "{text}");
        }
        let text = r#"{"one":"/a","two":null}"#;
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Paths>(text).unwrap()).unwrap(), text);
    }
}
