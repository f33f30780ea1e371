//! Compiles CRIU's messages and generates the C header. (init/build.rs compiles berth-init.)

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=BERTH_LIBEXECDIR");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libberth.so.0");
    // Where `make install` puts berth-init, for hosts that forbid executing memory files.
    let libexec = env::var("BERTH_LIBEXECDIR").unwrap_or_else(|_| "/usr/local/libexec".into());
    println!("cargo:rustc-env=BERTH_INIT_PATH={libexec}/berth/berth-init");

    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
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
