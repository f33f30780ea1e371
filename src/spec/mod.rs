//! Reads, checks and holds `config.json`.
//!
//! Every `Config` is a valid document: each field has its type, is known to this version, is within the kernel's bounds
//! and does not contradict others. `Config::validate`, in `container::preflight`, also checks the objects of the host
//! that the document names (root filesystem, namespaces, hooks, bind sources).
//!
//! `schema` has the table of fields, `shape` fits a document to it, and each other file has the rules of one subject.

mod change;
mod default_config;
mod devices;
mod document;
mod labels;
pub(crate) mod paths;
mod replaced_files;
mod resources;
mod schema;
pub(crate) mod shape;
mod validate;
mod validate_process;
mod version;

pub(crate) mod net_devices;
pub(crate) mod networks;

pub(crate) mod capabilities;
pub(crate) mod hooks;
pub(crate) mod idmap;
pub(crate) mod intel_rdt;
pub(crate) mod memory_policy;
pub(crate) mod mount_attributes;
pub mod mount_options;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod number_list;
pub(crate) mod rlimits;
pub(crate) mod scheduling;
pub(crate) mod seccomp;
pub(crate) mod sysctl;
pub(crate) mod unified;

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Code, Context, Error, Result};
use mount_options::MountOptions;
use mounts::MountEntry;
use networks::Networks;
use validate::Normalized;

pub(crate) use change::Change;
pub use oci_spec::runtime as oci;

/// The oldest and the newest version of the specification whose fields are known.
pub const VERSIONS: (&str, &str) = ("1.0.0", "1.3.0");

/// The log target of warnings about unusual configurations that run as in other runtimes, which do not report them.
pub const NOTICE: &str = "berth::spec::notice";

/// The largest accepted size. Far more than any configuration needs; a bound, because the text may come from anywhere.
const MAX_BYTES: u64 = 16 << 20;

/// A checked `config.json`.
#[derive(Clone, Debug)]
pub struct Config {
    spec: oci::Spec,
    json: String,
    bundle: Option<PathBuf>,
    rootfs: PathBuf,
    /// The parsed options of each entry of `mounts`.
    mount_options: Vec<MountOptions>,
    networks: Networks,
    /// Warnings about unusual values that run as in other runtimes, for the log.
    notices: Vec<String>,
    /// The capability names that are not granted; see [`capabilities::report`].
    unknown_capabilities: Vec<String>,
}

impl Config {
    /// Reads `<bundle>/config.json`. Relative paths in it are relative to the bundle.
    pub fn from_bundle(bundle: &Path) -> Result<Config> {
        let bundle = make_absolute(bundle, "bundle")?;
        let file = bundle.join("config.json");
        let json = read_text(&file)?;
        Config::of_file(&json, &file, bundle)
    }

    /// Reads another file instead of `<bundle>/config.json`.
    pub fn from_file(bundle: &Path, file: &Path) -> Result<Config> {
        let bundle = make_absolute(bundle, "bundle")?;
        Config::of_file(&read_text(file)?, file, bundle)
    }

    /// Parses a configuration from memory. Without a bundle every path in it must be absolute; `rootfs`, if given,
    /// replaces `root.path`.
    pub fn from_json(json: &str, rootfs: Option<&Path>) -> Result<Config> {
        let rootfs = rootfs.map(|rootfs| make_absolute(rootfs, "root filesystem")).transpose()?;
        bounded(json.len() as u64, "the configuration")?;
        Config::new(json, "the configuration", None, rootfs)
    }

    /// Parses the recorded configuration of a container: the text of `config.json` as it was at create, with the bundle
    /// and root filesystem of that time.
    pub fn from_record(json: &str, bundle: Option<&Path>, rootfs: &Path) -> Result<Config> {
        let bundle = bundle.map(|bundle| make_absolute(bundle, "bundle")).transpose()?;
        let rootfs = make_absolute(rootfs, "root filesystem")?;
        bounded(json.len() as u64, "the recorded configuration")?;
        Config::new(json, "the recorded configuration", bundle, Some(rootfs))
    }

    fn of_file(json: &str, file: &Path, bundle: PathBuf) -> Result<Config> {
        let name = file.display().to_string();
        Config::new(json, &name, Some(bundle), None).map_err(|mut error| {
            if !error.message.starts_with(&name) {
                error.message.insert_str(0, &format!("{name}: "));
            }
            error
        })
    }

    fn new(json: &str, name: &str, bundle: Option<PathBuf>, rootfs: Option<PathBuf>) -> Result<Config> {
        crate::sys::random::check()?;
        let checked = checked(json, name, bundle.as_deref(), rootfs).map_err(concise)?;
        let Checked { spec, normalized: Normalized { rootfs, mount_options }, notices, unknown_capabilities, mapped } =
            checked;
        let networks = Networks::default();
        let json = if mapped { with_default_mappings(json)? } else { json.to_owned() };
        Ok(Config { spec, json, bundle, rootfs, mount_options, networks, notices, unknown_capabilities })
    }

    /// Returns the configuration with networks and routes, for which `config.json` has no field (docs/networks.md).
    pub fn with_networks(&self, json: &str) -> Result<Config> {
        bounded(json.len() as u64, "the networks")?;
        let networks = networks::read(json, &self.spec).map_err(concise)?;
        Ok(Config { networks, ..self.clone() })
    }

    /// Logs warnings: unusual values, and capabilities that cannot be granted.
    pub(crate) fn report(&self) {
        for notice in &self.notices {
            log::warn!(target: NOTICE, "{notice}");
        }
        if let Some(process) = self.spec.process() {
            capabilities::report(&self.unknown_capabilities, process);
            if !namespaces::Namespaces::of(&self.spec).has(oci::LinuxNamespaceType::User) {
                capabilities::report_withheld(process);
            }
        }
    }

    /// Returns a default configuration, as `runc spec` writes it: a shell on a terminal in new namespaces with a
    /// read-only root.
    pub fn default_json() -> String {
        default_config::json().to_owned()
    }

    /// Returns a default configuration for a caller without privileges: in a user namespace whose root is `uid` and
    /// `gid` of the host, with the host's network, and without settings that need the host's root.
    pub fn default_rootless_json(uid: u32, gid: u32) -> Result<String> {
        default_config::rootless_json(uid, gid)
    }

    /// Returns the fields that this version implements. Mount destinations are absolute and in their shortest spelling,
    /// and sources of bind mounts are absolute.
    pub fn spec(&self) -> &oci::Spec {
        &self.spec
    }

    /// Returns the entries of `mounts` with their parsed options, in their order.
    pub(crate) fn mounts(&self) -> impl DoubleEndedIterator<Item = MountEntry<'_>> + ExactSizeIterator {
        let mounts = self.spec.mounts().as_deref().unwrap_or_default();
        let entries = mounts.iter().zip(&self.mount_options).enumerate();
        entries.map(|(index, (mount, options))| MountEntry { index, mount, options })
    }

    pub(crate) fn networks(&self) -> &Networks {
        &self.networks
    }

    /// Returns the JSON text: the unchanged one, or with the mappings of a user namespace if it had none.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Returns the absolute path of the bundle that the configuration was read from; None without a bundle.
    pub fn bundle(&self) -> Option<&Path> {
        self.bundle.as_deref()
    }

    /// Whether the container's process has a terminal.
    pub fn has_terminal(&self) -> bool {
        self.spec.process().as_ref().and_then(oci::Process::terminal).unwrap_or(false)
    }

    /// Returns the absolute path of the root filesystem; symlinks in it are not resolved.
    pub fn rootfs(&self) -> &Path {
        &self.rootfs
    }
}

struct Checked {
    spec: oci::Spec,
    normalized: Normalized,
    notices: Vec<String>,
    unknown_capabilities: Vec<String>,
    /// Whether the document had no mappings for its user namespace.
    mapped: bool,
}

fn checked(json: &str, name: &str, bundle: Option<&Path>, rootfs: Option<PathBuf>) -> Result<Checked> {
    let mut unknown_capabilities = Vec::new();
    let mut value = document::fit(json, name, &schema::CONFIG)?;
    let mut notices = Vec::new();
    let version = version::check(&value, &mut notices)?;
    devices::check_numbers(&value)?;
    if let Some(process) = value.get_mut("process") {
        validate_process::complete(process);
        scheduling::adapt_to_types(process);
        scheduling::check_affinity(process, "process.")?;
        unknown_capabilities = capabilities::take_unknown(process);
    }
    if let Some(limits) = value.pointer_mut("/linux/resources") {
        resources::adapt_to_types(limits, version);
    }
    intel_rdt::adapt_to_types(&mut value);
    let mapped = idmap::complete(&mut value);
    if mapped {
        notices.push("linux.uidMappings: is missing; the user namespace maps its root alone, to the caller".to_owned());
    }
    let mut spec: oci::Spec = document::typed(&value)?;
    let normalized = validate::normalize(&mut spec, bundle, rootfs, &mut notices)?;
    Ok(Checked { spec, normalized, notices, unknown_capabilities, mapped })
}

/// Returns the text with the default mappings, for the record: another caller who loads the container has other ids.
fn with_default_mappings(json: &str) -> Result<String> {
    let mut value = serde_json::from_str(json).map_err(|error| Error::new(Code::ConfigInvalid, error.to_string()))?;
    idmap::complete(&mut value);
    Ok(value.to_string())
}

/// Returns whether this version implements a field of the specification. `path` has no indices: `mounts.uidMappings`.
pub(crate) fn implements(path: &str) -> bool {
    shape::implements(&schema::CONFIG, path)
}

/// Parses a process document for exec, under the rules of a config's `process`. Paths in errors are those of this
/// document (`args[0]`).
pub fn parse_process(json: &str) -> Result<oci::Process> {
    bounded(json.len() as u64, "the process")?;
    let checked = || {
        let mut value = document::fit(json, "the process", &schema::PROCESS)?;
        validate_process::complete(&mut value);
        scheduling::adapt_to_types(&mut value);
        scheduling::check_affinity(&value, "")?;
        let unknown = capabilities::take_unknown(&mut value);
        let mut process: oci::Process = document::typed(&value)?;
        validate_process::normalize(&mut process, "")?;
        capabilities::report(&unknown, &process);
        Ok(process)
    };
    checked().map_err(concise)
}

/// Shortens an error whose message contains a long value: cuts its middle, since the message has the problem at its
/// beginning and the expected values at its end.
fn concise(mut error: Error) -> Error {
    const SIDE: usize = 400;
    let count = error.message.chars().count();
    if count > 2 * SIDE {
        let start: String = error.message.chars().take(SIDE).collect();
        let end: String = error.message.chars().skip(count - SIDE).collect();
        error.message = format!("{start} … {end}");
    }
    error
}

/// Makes a path absolute by the current directory, now: the caller may change it later.
fn make_absolute(path: &Path, what: &str) -> Result<PathBuf> {
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(Error::invalid_argument(format!("{what} {path:?} contains a NUL character")));
    }
    std::path::absolute(path)
        .map_err(|error| Error::invalid_argument(format!("{what} {path:?} is not a usable path: {error}")))
}

fn bounded(length: u64, what: &str) -> Result<()> {
    if length > MAX_BYTES {
        return Err(Error::new(
            Code::ConfigInvalid,
            format!("{what} is longer than {MAX_BYTES} bytes; expected a configuration"),
        ));
    }
    Ok(())
}

fn read_text(path: &Path) -> Result<String> {
    let name = path.display();
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let file = opened.context(|| format!("opening {name}"));
    let file = file.map_err(|error| error.detail("config_file", name.to_string()))?;
    let found = file.metadata().context(|| format!("examining {name}"))?;
    if !found.is_file() {
        return Err(Error::new(Code::ConfigInvalid, format!("{name} is not a regular file; expected one")));
    }
    // Reserve the file's size: then one read gets the text, and another one finds the end.
    let mut bytes = Vec::with_capacity(found.len().min(MAX_BYTES) as usize + 1);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).context(|| format!("reading {name}"))?;
    bounded(bytes.len() as u64, &name.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::new(Code::ConfigInvalid, format!("{name} is not UTF-8 at byte {at}; expected JSON, which is"))
    })
}

#[cfg(test)]
mod tests;
