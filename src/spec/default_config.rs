//! The default configuration, and the one for callers without privileges that is made from it.

use serde_json::{Value, json};

use crate::error::{Code, Error, Result};

/// Returns the default configuration.
pub fn json() -> &'static str {
    include_str!("default.json")
}

/// Returns the default configuration changed for a caller without privileges, whose ids become the container's root.
pub fn rootless_json(uid: u32, gid: u32) -> Result<String> {
    let broken = |error: serde_json::Error| Error::new(Code::Internal, format!("the default configuration: {error}"));
    let mut config: Value = serde_json::from_str(json()).map_err(broken)?;
    let linux = &mut config["linux"];
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        // A new network namespace of an unprivileged user has the loopback interface alone, so the container uses the
        // host's.
        namespaces.retain(|namespace| namespace["type"] != "network" && namespace["type"] != "user");
        namespaces.push(json!({ "type": "user" }));
    }
    let map = |host: u32| json!([{ "containerID": 0, "hostID": host, "size": 1 }]);
    linux["uidMappings"] = map(uid);
    linux["gidMappings"] = map(gid);
    if let Some(linux) = linux.as_object_mut() {
        linux.shift_remove("resources");
    }
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.iter_mut().for_each(adapt);
    }
    let mut text = Vec::new();
    let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, tabs);
    serde::Serialize::serialize(&config, &mut writer).map_err(broken)?;
    String::from_utf8(text).map_err(|error| Error::new(Code::Internal, error.to_string()))
}

fn adapt(mount: &mut Value) {
    if mount["destination"] == "/sys" {
        // sysfs shows the network namespace, which is the host's, so it cannot be mounted anew.
        mount["type"] = json!("none");
        mount["source"] = json!("/sys");
        mount["options"] = json!(["rbind", "nosuid", "noexec", "nodev", "ro"]);
    } else if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
        // Remove mount options with ids that are not mapped.
        options
            .retain(|option| !option.as_str().is_some_and(|text| text.starts_with("gid=") || text.starts_with("uid=")));
    }
}
