//! Compiles berth-init, the program that containers run first, which the library includes as bytes
//! (`berth_init::PROGRAM`).
//!
//! Calls rustc directly, not a nested cargo: that needs no network, does not wait for the lock of the target directory,
//! and works with `--target`. The same sources and compiler produce the same bytes in any directory. A distribution may
//! supply its own program: BERTH_INIT_BINARY names the file.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The features of linux-raw-sys, as in Cargo.toml.
const FEATURES: [&str; 7] = ["no_std", "general", "errno", "ioctl", "net", "prctl", "ptrace"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-env-changed=BERTH_INIT_BINARY");
    let out = PathBuf::from(var("OUT_DIR"));
    let program = out.join("berth-init");
    if let Some(given) = env::var_os("BERTH_INIT_BINARY") {
        // A relative path is relative to the project's directory.
        let given = Path::new(&var("CARGO_MANIFEST_DIR")).join("..").join(given);
        println!("cargo:rerun-if-changed={}", given.display());
        fs::copy(&given, &program)
            .unwrap_or_else(|error| fail(&format!("BERTH_INIT_BINARY={}: {error}", given.display())));
    } else if env::var_os("CARGO_CFG_MIRI").is_some() {
        // Miri interprets the tests and replaces rustc; the tests do not execute the program.
        fs::write(&program, []).unwrap_or_else(|error| fail(&format!("{}: {error}", program.display())));
    } else {
        compile(&out, &program);
    }
    // Copy the program to <profile>/libexec for `make install`. OUT_DIR is target/<profile>/build/<package>/out; cargo
    // puts its own build of the program directly into <profile>.
    if let Some(profile) = out.ancestors().nth(3) {
        let libexec = profile.join("libexec");
        let _ = fs::create_dir_all(&libexec).and_then(|()| fs::copy(&program, libexec.join("berth-init")));
    }
}

/// Compiles linux-raw-sys, the library and the program, in this order.
fn compile(out: &Path, program: &Path) {
    let kernel = kernel_headers(out);
    let mut rustc = Rustc::new("linux_raw_sys", "2021", "rlib");
    rustc.command.args(["--cap-lints", "allow"]);
    for feature in FEATURES {
        rustc.command.arg("--cfg").arg(format!("feature={feature:?}"));
    }
    rustc.command.arg(prefixed("--remap-path-prefix=", &kernel, "=linux-raw-sys"));
    let kernel = rustc.run(&kernel.join("src/lib.rs"), &out.join("liblinux_raw_sys.rlib"));

    let mut rustc = Rustc::new("berth_init", "2024", "rlib");
    rustc.command.arg("--extern").arg(prefixed("linux_raw_sys=", &kernel, ""));
    let library = rustc.run(Path::new("src/lib.rs"), &out.join("libberth_init.rlib"));

    let mut rustc = Rustc::new("berth_init_program", "2024", "bin");
    rustc.command.arg("--extern").arg(prefixed("berth_init=", &library, ""));
    rustc.command.arg(prefixed("-Ldependency=", out, "")).args(["-C", "strip=symbols"]);
    for argument in ["-nostartfiles", "-nostdlib", "-static", "-Wl,--build-id=none"] {
        rustc.command.arg("-C").arg(format!("link-arg={argument}"));
    }
    let linker = format!("CARGO_TARGET_{}_LINKER", var("TARGET").to_uppercase().replace('-', "_"));
    if let Some(linker) = env::var_os("RUSTC_LINKER").or_else(|| env::var_os(linker)) {
        rustc.command.arg("-C").arg(prefixed("linker=", Path::new(&linker), ""));
    }
    rustc.run(Path::new("src/main.rs"), program);
}

/// A call of rustc in this package's directory, so that the program contains no absolute paths.
struct Rustc {
    name: &'static str,
    command: Command,
}

impl Rustc {
    fn new(name: &'static str, edition: &str, kind: &str) -> Rustc {
        let mut command = Command::new(var("RUSTC"));
        command.current_dir(var("CARGO_MANIFEST_DIR"));
        command.args(["--edition", edition, "--crate-name", name, "--crate-type", kind, "--target", &var("TARGET")]);
        command.args(["--cfg", "berth_init", "--check-cfg", "cfg(berth_init,fuzzing,test)"]);
        command.args(["-C", "panic=abort", "-C", "opt-level=3", "-C", "codegen-units=1", "-C", "embed-bitcode=no"]);
        command.args(["-C", "relocation-model=static", "-C", "target-feature=+crt-static"]);
        Rustc { name, command }
    }

    fn run(mut self, source: &Path, to: &Path) -> PathBuf {
        let output = output(self.command.arg(source).arg("-o").arg(to));
        if output.status.success() {
            return to.to_owned();
        }
        let reason = String::from_utf8_lossy(&output.stderr);
        if reason.contains("linker `") && reason.contains("not found") {
            fail("a C compiler is needed to link: install one, on Debian with: apt-get install gcc libc6-dev");
        }
        fail(&format!("{} does not compile:\n{reason}", self.name))
    }
}

/// Returns the directory of the sources of linux-raw-sys. Cargo has fetched them, since the library depends on them,
/// but does not report where.
///
/// They are beside this package if it comes from a registry or is vendored. Otherwise cargo is asked, for a package
/// with this dependency alone, since the whole workspace has dependencies that may not be fetched yet, such as those of
/// tests.
fn kernel_headers(out: &Path) -> PathBuf {
    let package = PathBuf::from(var("CARGO_MANIFEST_DIR"));
    beside(&package).unwrap_or_else(|| asked_of_cargo(&package, out))
}

/// Returns the newest matching version, by the directory names that registries and `cargo vendor` use.
fn beside(package: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(package.parent()?).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let fits = |folder: &PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("linux-raw-sys-0.12.") || (name == "linux-raw-sys" && version_of(folder).starts_with("0.12."))
    };
    folders.filter(fits).max_by_key(|folder| {
        let version = version_of(folder);
        version.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>()
    })
}

/// Returns the first `version` of a package's manifest.
fn version_of(folder: &Path) -> String {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = "));
    version.unwrap_or_default().trim_matches('"').to_owned()
}

fn asked_of_cargo(package: &Path, out: &Path) -> PathBuf {
    let question = out.join("kernel-headers");
    let manifest = "[package]\nname = \"kernel-headers\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n\
                    [dependencies]\nlinux-raw-sys = { version = \"0.12\", default-features = false }\n\n[workspace]\n";
    let written = fs::create_dir_all(&question)
        .and_then(|()| fs::write(question.join("Cargo.toml"), manifest))
        .and_then(|()| fs::write(question.join("lib.rs"), []));
    written.unwrap_or_else(|error| fail(&format!("{}: {error}", question.display())));
    // The version in the workspace's lock file; the rest of the file does not matter.
    let lock = package.ancestors().map(|folder| folder.join("Cargo.lock")).find(|lock| lock.exists());
    if let Some(lock) = lock {
        println!("cargo:rerun-if-changed={}", lock.display());
        let _ = fs::copy(lock, question.join("Cargo.lock"));
    }
    let mut cargo = Command::new(var("CARGO"));
    // Run in this directory, where cargo finds the workspace's configuration: it may have vendored sources.
    cargo.current_dir(package).args(["metadata", "--offline", "--format-version=1", "--manifest-path"]);
    let output = output(cargo.arg(question.join("Cargo.toml")));
    let found = String::from_utf8_lossy(&output.stdout);
    manifest_of(&found, "linux-raw-sys").unwrap_or_else(|| {
        let reason = String::from_utf8_lossy(&output.stderr);
        fail(&format!("the sources of linux-raw-sys are not found; BERTH_INIT_BINARY may name a berth-init:\n{reason}"))
    })
}

/// Returns the directory of a package from the output of `cargo metadata`.
fn manifest_of(metadata: &str, package: &str) -> Option<PathBuf> {
    let end = format!("{}Cargo.toml", std::path::MAIN_SEPARATOR);
    let paths = metadata.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut folders = paths.filter_map(|path| path.strip_suffix(&end)).map(PathBuf::from);
    folders.find(|folder| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(package))
    })
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| fail(&format!("running {}: {error}", command.get_program().display())))
}

fn prefixed(before: &str, path: &Path, after: &str) -> OsString {
    let mut text = OsString::from(before);
    text.push(path);
    text.push(after);
    text
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| fail(&format!("cargo has not set {name}")))
}

fn fail(message: &str) -> ! {
    eprintln!("error: {message}");
    std::process::exit(1)
}
