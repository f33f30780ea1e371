//! Programs that tests dump: containers that report their progress, a workload with all kinds of state; and a page
//! server.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use berth::Runtime;
use serde_json::{Value, json};

use crate::common::*;

/// Bind-mounts a directory of the host on /data in the container.
pub fn with_data(config: &mut Value, data: &Path) {
    let mount = json!({ "destination": "/data", "type": "bind", "source": data, "options": ["bind", "rw"] });
    push_mount(config, mount);
}

/// Returns the configuration of a shell that counts and writes each number to /data/count, by rename(2) so that no
/// reader sees a partial number.
pub fn counter(data: &Path) -> Value {
    let count = "n=0; while :; do n=$((n+1)); echo $n > /data/new; mv /data/new /data/count; sleep 0.01; done";
    let mut config = shell(count);
    with_data(&mut config, data);
    config
}

pub fn count(data: &Path) -> u64 {
    std::fs::read_to_string(data.join("count")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Waits until the counter advances, and returns its value.
pub fn counts_on(data: &Path) -> u64 {
    let before = count(data);
    eventually("the counter continues", || count(data) > before);
    count(data)
}

/// The files of a counter at the time of the dump. Images do not contain files, so a test that restores twice and lets
/// the container run in between must put them back; one of them may be open in the images.
pub struct Files(Vec<(PathBuf, Vec<u8>)>);

impl Files {
    pub fn of(data: &Path) -> Files {
        let entries = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
        Files(entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect())
    }

    pub fn put_back(&self) {
        self.0.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }

    /// Copies the files to another directory.
    pub fn copy_to(&self, directory: &Path) {
        self.0
            .iter()
            .for_each(|(path, bytes)| std::fs::write(directory.join(path.file_name().unwrap()), bytes).unwrap());
    }
}

/// Compiles checkpoint_workload.c into the directory that becomes the container's /data.
pub fn checkpoint_workload(data: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checkpoint/checkpoint_workload.c");
    let program = data.join("checkpoint_workload");
    match std::env::var_os("BERTH_TEST_PROGRAMS") {
        // The virtual machine has no compiler, so the program is compiled outside.
        Some(programs) => drop(std::fs::copy(PathBuf::from(programs).join("checkpoint_workload"), program).unwrap()),
        None => {
            let made = Command::new("cc").args(["-static", "-O1", "-Wall", "-o"]).arg(program).arg(source).status();
            assert!(made.expect("cc runs").success());
        }
    }
}

/// Returns the configuration of a container that holds some megabytes of memory, and counts. The counting process must
/// not be the one with the memory: the children that a shell forks are copies of it, and would dirty all pages.
pub fn heavy(data: &Path) -> Value {
    let mut config = counter(data);
    let script = config["process"]["args"][2].as_str().unwrap().to_owned();
    let fill = "(x=x; while [ ${#x} -lt 4000000 ]; do x=$x$x; done; echo > /data/filled; while :; do sleep 100000; done) & \
                until [ -e /data/filled ]; do sleep 0.01; done;";
    config["process"]["args"][2] = json!(format!("{fill} {script}"));
    config
}

pub fn pages(images: &Path) -> u64 {
    let files = leftovers::files(images).into_iter();
    files.filter(|file| file.to_string_lossy().contains("/pages-")).map(|file| file.metadata().unwrap().len()).sum()
}

/// Returns the disk space that the page images use.
pub fn held(images: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = leftovers::files(images).into_iter();
    files.filter(|file| file.to_string_lossy().contains("/pages-")).map(|file| file.metadata().unwrap().blocks()).sum()
}

/// A running `criu page-server`, killed on drop.
pub struct Server(pub Child, pub u16);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn page_server(images: &Path) -> Server {
    let port = free_port();
    let mut command = Command::new(criu());
    command.args(["page-server", "--address", "127.0.0.1", "--port", &port.to_string(), "--images-dir"]).arg(images);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let listening = format!(":{port:04X} ");
    eventually("the page server listens", || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        table.lines().any(|line| line.contains(&listening) && line.contains(" 0A "))
    });
    Server(child, port)
}

/// Returns whether `criu_check_json` reports a feature.
pub fn feature(runtime: &Runtime, name: &str) -> bool {
    let report: Value = serde_json::from_str(&runtime.criu_check_json().unwrap()).unwrap();
    report["features"][name].as_bool().unwrap()
}
