//! Compiles berth-init, which the library embeds, and CRIU's messages, and generates the C header.
//!
//! berth-init is compiled with rustc directly, not with a nested cargo: that needs no network, does not wait for the
//! lock of the target directory, and goes along with `--target`. A distribution may bring its own: BERTH_INIT_BINARY
//! names the file.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/init");
    println!("cargo:rerun-if-env-changed=BERTH_INIT_BINARY");
    println!("cargo:rerun-if-env-changed=BERTH_LIBEXECDIR");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libberth.so.0");
    // Where `make install` puts berth-init, for hosts that forbid executing memory files.
    let libexec = env::var("BERTH_LIBEXECDIR").unwrap_or_else(|_| "/usr/local/libexec".into());
    println!("cargo:rustc-env=BERTH_INIT_PATH={libexec}/berth/berth-init");

    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let init = out.join("berth-init");
    match env::var_os("BERTH_INIT_BINARY") {
        Some(given) => {
            println!("cargo:rerun-if-changed={}", Path::new(&given).display());
            std::fs::copy(&given, &init)
                .unwrap_or_else(|error| fail(&format!("BERTH_INIT_BINARY={}: {error}", given.display())));
        }
        None => compile_init(&init),
    }
    // Beside the library, for `make install`. target/<profile>/build/<package>/out is three below it.
    if let Some(profile) = out.ancestors().nth(3) {
        let _ = std::fs::copy(&init, profile.join("berth-init"));
    }
    compile_messages();
    generate_header(&out);
}

/// proto/criu.proto into OUT_DIR/criu.rs.
fn compile_messages() {
    println!("cargo:rerun-if-changed=proto");
    let compiled = protox::compile(["proto/criu.proto"], ["proto"]).unwrap_or_else(|error| fail(&error.to_string()));
    let written = prost_build::Config::new().compile_fds(compiled);
    written.unwrap_or_else(|error| fail(&format!("generating CRIU's messages: {error}")));
}

fn compile_init(to: &Path) {
    let rustc = env::var("RUSTC").expect("cargo sets RUSTC");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let mut command = Command::new(&rustc);
    command.args(["--edition", "2024", "--crate-name", "berth_init", "--crate-type", "bin", "--target", &target]);
    command.args(["--cfg", "berth_init", "--check-cfg", "cfg(berth_init,test)"]);
    command.args(["-C", "panic=abort", "-C", "opt-level=3", "-C", "codegen-units=1", "-C", "strip=symbols"]);
    command.args(["-C", "relocation-model=static", "-C", "target-feature=+crt-static"]);
    for argument in ["-nostartfiles", "-nostdlib", "-static", "-Wl,--build-id=none"] {
        command.arg("-C").arg(format!("link-arg={argument}"));
    }
    let var = format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_"));
    if let Some(linker) = env::var_os("RUSTC_LINKER").or_else(|| env::var_os(var)) {
        command.arg("-C").arg(format!("linker={}", linker.display()));
    }
    command.arg("src/init/main.rs").arg("-o").arg(to);
    let output = command.output().unwrap_or_else(|error| fail(&format!("running {rustc}: {error}")));
    if output.status.success() {
        return;
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    if reason.contains("linker `") && reason.contains("not found") {
        fail("a C compiler is needed to link: install one, on Debian with: apt-get install gcc libc6-dev");
    }
    fail(&format!("berth-init does not compile:\n{reason}"))
}

/// What the header is made from, in its order.
const HEADER: [&str; 13] = [
    "error.rs",
    "container/status.rs",
    "capi/library.rs",
    "capi/error.rs",
    "capi/runtime.rs",
    "capi/config.rs",
    "capi/process_options.rs",
    "capi/container.rs",
    "capi/container_facts.rs",
    "capi/network.rs",
    "capi/checkpoint.rs",
    "capi/process.rs",
    "capi/events.rs",
];

/// The header as src/capi says it, into OUT_DIR and beside the library. include/berth.h is the committed copy
/// (`make header` renews it, `make check` compares).
fn generate_header(out: &Path) {
    println!("cargo:rerun-if-changed=cbindgen.toml");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    if !root.join("cbindgen.toml").exists() {
        return;
    }
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap_or_else(|error| fail(&error));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in HEADER {
        println!("cargo:rerun-if-changed=src/{source}");
        builder = builder.with_src(root.join("src").join(source));
    }
    let header = out.join("berth.h");
    match builder.generate() {
        Ok(bindings) => bindings.write_to_file(&header),
        Err(error) => fail(&format!("generating berth.h: {error}")),
    };
    if let Some(profile) = out.ancestors().nth(3) {
        let _ = std::fs::copy(&header, profile.join("berth.h"));
    }
}

fn fail(message: &str) -> ! {
    eprintln!("error: {message}");
    std::process::exit(1)
}
