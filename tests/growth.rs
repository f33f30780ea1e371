//! The time to read, check and plan a configuration grows with its length, and no faster: four times the entries take
//! about four times the time, or are refused. Measured is the processor time of this thread.

mod common;

use berth::spec::Config;
use common::*;
use serde_json::{Value, json};

/// Four times the entries take four times as long, sixteen times if each is compared with each. Between the two.
const MOST: f64 = 9.0;

fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a timespec to fill.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Returns the shorter of two times.
fn cost(config: &Value, networks: Option<&Value>) -> f64 {
    let text = config.to_string();
    let once = || {
        let begin = processor_time();
        let config = Config::from_json(&text, Some(rootfs()));
        let config = config.and_then(|config| match networks {
            Some(networks) => config.with_networks(&networks.to_string()),
            None => Ok(config),
        });
        // A refusal is an answer, too.
        let _ = config.and_then(|config| config.validate().and_then(|()| berth::explain(&config)));
        processor_time() - begin
    };
    (0..2).map(|_| once()).fold(f64::MAX, f64::min)
}

fn grows_with(name: &str, count: usize, fill: impl Fn(&mut Value, usize)) {
    check(name, |times| {
        let mut config = shell("true");
        fill(&mut config, times * count);
        cost(&config, None)
    });
}

/// Measures with the entries once and four times. Other work on the machine makes single measurements longer, so the
/// shortest of several count.
fn check(name: &str, measure: impl Fn(usize) -> f64) {
    let (mut small, mut large) = (f64::MAX, f64::MAX);
    for _ in 0..5 {
        (small, large) = (small.min(measure(1)), large.min(measure(4)));
        // Less than this is the cost of the rest of the configuration.
        if large / small.max(0.001) < MOST {
            return;
        }
    }
    panic!("{name}: {small:.4} s, and {large:.4} s for four times the entries");
}

fn list(count: usize, entry: impl Fn(usize) -> Value) -> Value {
    (0..count).map(entry).collect()
}

fn map(count: usize, name: impl Fn(usize) -> String, value: Value) -> Value {
    Value::Object((0..count).map(|index| (name(index), value.clone())).collect())
}

fn push_mounts(config: &mut Value, count: usize, entry: impl Fn(usize) -> Value) {
    config["mounts"].as_array_mut().unwrap().extend((0..count).map(entry));
}

#[test]
fn of_mounts() {
    grows_with("filesystems", 400, |config, count| {
        push_mounts(config, count, |i| json!({ "destination": format!("/m/{i}"), "type": "tmpfs", "source": "tmpfs" }));
    });
    grows_with("read-only filesystems", 400, |config, count| {
        push_mounts(
            config,
            count,
            |i| json!({ "destination": format!("/m/{i}"), "type": "tmpfs", "source": "x", "options": ["ro"] }),
        );
    });
    let bind = |i: usize, source: &std::path::Path| json!({ "destination": format!("/m/{i}"), "type": "bind", "source": source, "options": ["bind"] });
    grows_with("bind mounts", 400, |config, count| push_mounts(config, count, |i| bind(i, "/usr".as_ref())));
    grows_with("bind mounts of the image", 400, |config, count| {
        push_mounts(config, count, |i| bind(i, &rootfs().join("etc")));
    });
    grows_with("sources that are missing yet", 400, |config, count| {
        let missing = rootfs().join("missing");
        push_mounts(config, count, |i| bind(i, &missing));
    });
    grows_with("mappings of mounts", 200, |config, count| {
        push_mounts(config, count, |i| {
            let maps = json!([{ "containerID": 0, "hostID": 100_000 + i, "size": 1 }]);
            let mut mount = bind(i, "/usr".as_ref());
            mount["options"] = json!(["bind", "idmap"]);
            mount["uidMappings"] = maps.clone();
            mount["gidMappings"] = maps;
            mount
        });
    });
    grows_with("masks", 2000, |config, count| {
        config["linux"]["maskedPaths"] = list(count, |i| json!(format!("/proc/{i}")));
        config["linux"]["readonlyPaths"] = list(count, |i| json!(format!("/sys/{i}")));
    });
}

#[test]
fn of_devices() {
    grows_with("devices", 1000, |config, count| {
        config["linux"]["devices"] =
            list(count, |i| json!({ "path": format!("/dev/x{i}"), "type": "c", "major": 1, "minor": 3 }));
    });
    grows_with("device rules", 1000, |config, count| {
        config["linux"]["resources"]["devices"] =
            list(count, |i| json!({ "allow": i % 2 == 0, "type": "b", "major": i % 4000, "minor": i, "access": "rw" }));
    });
    grows_with("network devices", 1000, |config, count| {
        config["linux"]["netDevices"] = map(count, |i| format!("e{i}"), json!({}));
    });
}

#[test]
fn of_processes() {
    grows_with("variables", 5000, |config, count| {
        config["process"]["env"] = list(count, |i| json!(format!("V{i}=1")));
    });
    grows_with("arguments", 5000, |config, count| config["process"]["args"] = list(count, |i| json!(format!("{i}"))));
    grows_with("groups", 5000, |config, count| {
        config["process"]["user"]["additionalGids"] = list(count, |i| json!(i));
    });
    grows_with("limits", 2000, |config, count| {
        config["process"]["rlimits"] = list(count, |_| json!({ "type": "RLIMIT_NOFILE", "soft": 1, "hard": 1 }));
    });
    grows_with("unknown capabilities", 1000, |config, count| {
        for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
            config["process"]["capabilities"][set] = list(count, |i| json!(format!("CAP_{i}")));
        }
    });
}

#[test]
fn of_resources_and_the_rest() {
    grows_with("parameters of the kernel", 1000, |config, count| {
        config["linux"]["sysctl"] = map(count, |i| format!("net.x.y{i}"), json!("1"));
    });
    grows_with("files of the cgroup", 2000, |config, count| {
        config["linux"]["resources"]["unified"] = map(count, |i| format!("memory.x{i}"), json!("1"));
    });
    grows_with("limits of huge pages", 1000, |config, count| {
        config["linux"]["resources"]["hugepageLimits"] =
            list(count, |i| json!({ "pageSize": format!("{}MB", i + 1), "limit": 1 }));
    });
    grows_with("limits of RDMA", 1000, |config, count| {
        config["linux"]["resources"]["rdma"] = map(count, |i| format!("d{i}"), json!({ "hcaHandles": 1 }));
    });
    grows_with("hooks", 1000, |config, count| {
        config["hooks"] = json!({ "poststart": list(count, |_| json!({ "path": "/bin/true", "env": ["A=1"] })) });
    });
    grows_with("annotations", 5000, |config, count| {
        config["annotations"] = map(count, |i| format!("org.example.a{i}"), json!("x"));
    });
    grows_with("unknown fields", 5000, |config, count| {
        (0..count).for_each(|i| config[format!("x{i}")] = json!(1));
    });
}

#[test]
fn of_system_call_rules() {
    let rules = |config: &mut Value, rules: Value| {
        config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules });
    };
    let equals = |index: usize, value: usize| json!({ "index": index, "value": value, "op": "SCMP_CMP_EQ" });
    // All of these are refused: the first have 5000 instructions.
    grows_with("conditions", 5000, |config, count| {
        let one = |i| json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [equals(0, i)] });
        rules(config, list(count, one));
    });
    grows_with("two conditions", 5000, |config, count| {
        let one = |i| json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [equals(0, i), equals(1, i)] });
        rules(config, list(count, one));
    });
    grows_with("alternatives", 5000, |config, count| {
        let all = list(count, |i| equals(0, i));
        rules(config, json!([{ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": all }]));
    });
    grows_with("equal rules", 2000, |config, count| {
        rules(config, list(count, |_| json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW" })));
    });
    grows_with("conditions that change nothing", 2000, |config, count| {
        let one = |i| json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [equals(0, i)] });
        let mut all = list(count, one);
        all.as_array_mut().unwrap().push(json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW" }));
        rules(config, all);
    });
    grows_with("equal and unknown names", 5000, |config, count| {
        let names = list(count, |i| json!(if i % 2 == 0 { "read".to_owned() } else { format!("call{i}") }));
        rules(config, json!([{ "names": names, "action": "SCMP_ACT_ALLOW" }]));
    });
}

#[test]
fn of_networks() {
    check("networks", |times| {
        let networks = json!({ "networks": list(250 * times, |_| json!({ "type": "veth" })) });
        cost(&shell("true"), Some(&networks))
    });
    let config = Config::from_json(&shell("true").to_string(), Some(rootfs())).unwrap();
    let networks = json!({ "networks": list(1025, |_| json!({ "type": "veth" })) });
    let error = config.with_networks(&networks.to_string()).unwrap_err();
    assert!(error.message.contains("networks: has 1025 entries; expected at most 1024"), "{error}");
}
