//! All targets of the library and of berth-init under libFuzzer. BERTH_FUZZ_TARGET names one. With
//! BERTH_FUZZ_WRITE_SEEDS, a folder, it writes the seeds of all targets there, prints the names, and ends.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

type Run = fn(&[u8]);

static RUN: OnceLock<Run> = OnceLock::new();

fn prepare() {
    let targets = berth::fuzz::TARGETS.iter().chain(&berth_init::fuzz::TARGETS);
    if let Some(folder) = std::env::var_os("BERTH_FUZZ_WRITE_SEEDS") {
        for target in targets {
            berth::fuzz::write_seeds(folder.as_ref(), *target);
            println!("{}", target.0);
        }
        std::process::exit(0);
    }
    let wanted = std::env::var("BERTH_FUZZ_TARGET").unwrap_or_default();
    let found = targets.map(|target| (target.0, target.1)).find(|(name, _)| *name == wanted);
    let Some((_, run)) = found else {
        eprintln!("BERTH_FUZZ_TARGET={wanted:?} is no target");
        std::process::exit(2);
    };
    let _ = RUN.set(run);
}

fuzz_target!(init: prepare(), |data: &[u8]| {
    if let Some(run) = RUN.get() {
        run(data);
    }
});
