//! Changes the limits of a running container: merges a document of new limits into the configuration.

use serde_json::{Map, Value};

use super::{Config, bounded, concise, document, intel_rdt, oci, replaced_files, resources, schema, shape, version};
use crate::error::{Code, Error, Result};

/// The JSON path of the document in a configuration.
const PLACE: &str = "linux.resources";
const INTEL_RDT: &str = "linux.intelRdt";

/// A checked change of limits.
#[derive(Debug)]
pub struct Change {
    /// The limits to write: the fields of the document, and fields that must be written with them.
    pub write: oci::LinuxResources,
    /// The schemata of `linux.intelRdt` to write.
    pub shares: Vec<intel_rdt::Write>,
    /// The configuration after the change.
    pub config: Config,
}

impl Config {
    /// Merges `json`, an OCI `linux.resources` object in which `intelRdt` may have the schemata of `linux.intelRdt`.
    /// Members that it gives replace those of the configuration, lists replace whole lists, and members that it does
    /// not give stay. Paths in errors are those of the configuration (`linux.resources.memory.limit`): often only the
    /// two documents together are contradictory, and the kernel's refusals have the same paths.
    pub(crate) fn with_resources(&self, json: &str) -> Result<Change> {
        bounded(json.len() as u64, "the resources")?;
        self.changed(json).map_err(concise)
    }

    fn changed(&self, json: &str) -> Result<Change> {
        let mut given = document::parse(json, "the resources")?;
        let rdt = given.as_object_mut().and_then(|members| members.shift_remove("intelRdt"));
        let mut change = shape::fit_part(given, &schema::RESOURCES, PLACE)?;
        complete(&mut change);
        let mut whole: Value = serde_json::from_str(self.json())
            .map_err(|error| Error::new(Code::Internal, format!("the configuration is no longer JSON: {error}")))?;
        let version = version::of(&whole);
        let present = whole["linux"]["resources"].take();
        let mut present = if present.is_object() { present } else { Value::Object(Map::new()) };
        replaced_files::remove(&mut present, &change);
        let merged = merge(present, &change);
        let mut limits = document::fit_part(&merged.to_string(), "the limits", &schema::RESOURCES, PLACE)?;
        resources::adapt_to_types(&mut limits, version);
        resources::check(&document::typed(&limits)?)?;
        for (object, names) in TOGETHER {
            let Some(part) = change.get_mut(object).filter(|part| names.iter().any(|name| has(part, name))) else {
                continue;
            };
            for name in names {
                if let Some(value) = merged[object].get(name).filter(|value| !value.is_null()) {
                    part[name] = value.clone();
                }
            }
        }
        resources::adapt_to_types(&mut change, version);
        let write = document::typed(&change)?;
        whole["linux"]["resources"] = merged;
        let shares = rdt.map(|rdt| share(&mut whole, rdt)).transpose()?.unwrap_or_default();
        let text = serde_json::to_string(&whole).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let config = Config::new(&text, "the changed configuration", self.bundle.clone(), Some(self.rootfs.clone()))?;
        Ok(Change { write, shares, config })
    }
}

/// Merges new schemata of `linux.intelRdt` into the configuration, and returns those to write.
fn share(whole: &mut Value, given: Value) -> Result<Vec<intel_rdt::Write>> {
    let change = shape::fit_part(given, &schema::INTEL_RDT_CHANGE, INTEL_RDT)?;
    let typed: oci::LinuxIntelRdt = document::typed(&change)?;
    intel_rdt::check_fields(&typed)?;
    let writes = intel_rdt::writes(&typed);
    let present = whole["linux"]["intelRdt"].take();
    if !present.is_object() {
        let problem = "the container was created without it, so it has no resctrl group; expected a container whose \
                       configuration has it";
        return Err(Error::config(INTEL_RDT, problem));
    }
    whole["linux"]["intelRdt"] = merge(present, &change);
    Ok(writes)
}

/// Limits of which both are written: the kernel checks the two memory limits against each other, and a quota of CPU time
/// means little without its period.
const TOGETHER: [(&str, [&str; 2]); 2] = [("memory", ["limit", "swap"]), ("cpu", ["quota", "period"])];

fn has(object: &Value, name: &str) -> bool {
    object.get(name).is_some()
}

/// Makes swap unlimited with memory, since the swap limit includes memory, unless the document gives one.
fn complete(change: &mut Value) {
    if let Some(memory) = change.get_mut("memory")
        && memory.get("limit") == Some(&Value::from(-1))
        && !has(memory, "swap")
    {
        memory["swap"] = Value::from(-1);
    }
}

fn merge(present: Value, change: &Value) -> Value {
    match (present, change) {
        (Value::Object(mut present), Value::Object(change)) => {
            for (name, value) in change {
                let old = present.get_mut(name).map(Value::take).unwrap_or(Value::Null);
                present.insert(name.clone(), merge(old, value));
            }
            Value::Object(present)
        }
        (_, change) => change.clone(),
    }
}
