//! A container's configuration.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::boundary::{call, infallible};
use super::error::berth_error;
use super::{args, memory};
use crate::container::explain;
use crate::spec::Config;

/// A validated OCI configuration (config.json). Immutable; one configuration can be used for many containers. Release
/// with berth_config_free.
pub struct berth_config(pub(super) Config);

/// Read config.json from the directory `bundle` (OCI "Filesystem Bundle"). Relative paths in it are relative to the
/// bundle.
///
/// The document is validated as by berth_config_from_json. Errors: BERTH_E_CONFIG_INVALID, BERTH_E_UNSUPPORTED;
/// BERTH_E_SYSTEM with ENOENT if the file does not exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_config_from_bundle(
    bundle: *const c_char,
    config: Option<&mut MaybeUninit<*mut berth_config>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(config, "config")?;
        // SAFETY: berth.h requires NULL or a string.
        let bundle = unsafe { args::path(bundle, "bundle") }?;
        args::give(slot, berth_config(Config::from_bundle(bundle)?));
        Ok(())
    })
}

/// Read the file `file` instead of config.json, with the directory `bundle`. Otherwise as berth_config_from_bundle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_config_from_file(
    bundle: *const c_char,
    file: *const c_char,
    config: Option<&mut MaybeUninit<*mut berth_config>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(config, "config")?;
        // SAFETY: berth.h requires NULL or strings.
        let (bundle, file) = unsafe { (args::path(bundle, "bundle")?, args::path(file, "file")?) };
        args::give(slot, berth_config(Config::from_file(bundle, file)?));
        Ok(())
    })
}

/// Parse the text of a configuration (OCI "Configuration"). `rootfs` is optional: a directory to use instead of
/// root.path. Paths in the text must be absolute, since there is no bundle.
///
/// The text is checked at once and in full, without a look at the host: types, bounds, names, contradictions. Errors:
/// BERTH_E_CONFIG_INVALID if something is wrong, BERTH_E_UNSUPPORTED if it asks for something that this version
/// does not do (nothing is silently ignored); the message begins with the JSON path of the field, like
/// "linux.resources.pids.limit", which is "json_path" in berth_error_detail_json, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_config_from_json(
    json: *const c_char,
    rootfs: *const c_char,
    config: Option<&mut MaybeUninit<*mut berth_config>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(config, "config")?;
        // SAFETY: berth.h requires NULL or strings.
        let (rootfs, json) = unsafe { (args::optional_path(rootfs, "rootfs")?, args::text(json, "json")?) };
        args::give(slot, berth_config(Config::from_json(json, rootfs)?));
        Ok(())
    })
}

/// Return a default configuration, the one that `runc spec` writes: a shell on a terminal, in new namespaces, with a
/// read-only root filesystem at "rootfs". Release `json` with berth_string_free.
#[unsafe(no_mangle)]
pub extern "C" fn berth_config_default_json(
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || memory::give_text(args::out_pointer(json, "json")?, &Config::default_json()))
}

/// Return a default configuration for an unprivileged caller, as `runc spec --rootless` writes it: a user namespace
/// whose root is `uid` and `gid` of the host, the host's network, and no limits. Release `json` with berth_string_free.
#[unsafe(no_mangle)]
pub extern "C" fn berth_config_default_rootless_json(
    uid: u32,
    gid: u32,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || memory::give_text(args::out_pointer(json, "json")?, &Config::default_rootless_json(uid, gid)?))
}

/// Copy a configuration and set its networks and routes, which config.json cannot express; they replace those that
/// `config` may have. `networks_json` is an object with the arrays "networks" (of type "loopback" or "veth") and
/// "routes"; docs/networks.md describes the members. It is validated completely, without accessing the host. A
/// configuration with a fixed address or host interface name can be used for one container at a time.
///
/// Release `with_networks` with berth_config_free; `config` stays valid and must be released, too. berth_config_to_json
/// does not include the networks. Errors: BERTH_E_CONFIG_INVALID with the JSON path in `networks_json`, like
/// "networks[0].address"; unknown members are refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_config_with_networks(
    config: Option<&berth_config>,
    networks_json: *const c_char,
    with_networks: Option<&mut MaybeUninit<*mut berth_config>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(with_networks, "with_networks")?;
        let config = &args::handle(config, "config")?.0;
        // SAFETY: berth.h requires NULL or a string.
        let networks = unsafe { args::text(networks_json, "networks_json") }?;
        args::give(slot, berth_config(config.with_networks(networks)?));
        Ok(())
    })
}

/// Check what the configuration refers to on the host: the root filesystem, namespaces to join, the first hook, sources of
/// bind mounts, bridges, devices to move, names of interfaces. Changes nothing. berth_container_create makes the same checks
/// first.
///
/// Errors: BERTH_E_CONFIG_INVALID, BERTH_E_UNSUPPORTED, with the JSON path as berth_config_from_json.
#[unsafe(no_mangle)]
pub extern "C" fn berth_config_validate(
    config: Option<&berth_config>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || args::handle(config, "config")?.0.validate())
}

/// Return what berth_container_create does on this host, as a JSON object: the array "steps" has the steps of the
/// container's init in order, "user_namespaces" the user namespaces that the caller creates for id-mapped mounts, and
/// "outside" what the caller does to init during setup (limits, scheduling …). Creates nothing. For people and for
/// comparison: names of steps may change between versions.
///
/// Release `json` with berth_string_free. Errors: as berth_config_validate.
#[unsafe(no_mangle)]
pub extern "C" fn berth_config_explain_json(
    config: Option<&berth_config>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(json, "json")?;
        memory::give_text(slot, &explain(&args::handle(config, "config")?.0)?)
    })
}

/// Return the text that the configuration was made from. Release `json` with berth_string_free.
#[unsafe(no_mangle)]
pub extern "C" fn berth_config_to_json(
    config: Option<&berth_config>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(json, "json")?;
        memory::give_text(slot, args::handle(config, "config")?.0.json())
    })
}

/// Release a configuration. Containers created from it do not need it. NULL is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn berth_config_free(config: Option<Box<berth_config>>) {
    infallible((), || drop(config));
}
