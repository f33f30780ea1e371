//! Files of the kernel: mount tables, procfs, cgroups and resctrl. Containers decide a part of their content.

use std::os::unix::ffi::OsStrExt;

use super::{text, texts};
use crate::cgroup::device_rules::Exceptions;
use crate::cgroup::{hierarchy, limit, v1, v2};
use crate::rdt::{mount, schemata::Schemata};
use crate::stats::report::{self, Pressure};
use crate::stats::{Source, Stats};
use crate::sys::{mountinfo as table, procfs};

pub fn mountinfo(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n').count();
    let mounts: Vec<_> = table::parse(data).collect();
    assert!(mounts.len() <= lines);
    for mount in &mounts {
        let _ = (mount.propagates(), mount.shows_all(), mount.is_read_only());
        assert!(mount.point.as_os_str().as_bytes().len() <= data.len());
    }
    let cgroups = hierarchy::mounts(data);
    let chosen = hierarchy::choose(&cgroups);
    for (name, mount) in chosen {
        assert!(mount.names.contains(&name));
        let _ = hierarchy::directory(mount, "/a/b".as_ref());
    }
    let _ = mount::mounts(data);
}

pub fn mount_tables() -> Vec<Vec<u8>> {
    texts([
        "22 1 0:20 / /proc rw,nosuid - proc proc rw\n\
         29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n",
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime master:1 - cgroup cgroup rw,cpu,cpuacct\n\
         40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd\n\
         41 31 0:38 / /sys/fs/resctrl rw,relatime unbindable - resctrl resctrl rw\n",
        "701 600 0:32 /docker/abc /mnt/with\\040space\\134 rw shared:9 master:1 - tmpfs  ro,size=1k\n",
    ])
}

pub fn proc_files(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = procfs::parse_stat(&text).map(|stat| (stat.name.len(), stat.start_time));
    let _ = ["State", "Uid", "CapEff", "Seccomp"].map(|name| procfs::status_field(&text, name));
    let _ = procfs::id_mappings(&text).count();
    let _ = procfs::has_filesystem(&text, "overlay");
    let _ = hierarchy::own(&text);
}

pub fn files_of_proc() -> Vec<Vec<u8>> {
    texts([
        "7 (a) b) (c) S 1 7 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 8 9\n",
        "Name:\tsh\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n",
        "         0     100000      65536\n     65536          0          1\n",
        "nodev\tproc\nnodev\toverlay\n\text4\n",
        "12:cpu,cpuacct:/a/b\n1:name=systemd:/\n0::/user.slice/x\n",
    ])
}

fn read(sources: &[Source], data: &[u8]) {
    let mut stats = Stats { memory_usage: Some(4096), memory_limit: Some(8192), ..Stats::default() };
    for source in sources {
        (source.parse)(data, &mut stats);
    }
}

pub fn cgroup_v2(data: &[u8]) {
    use v2::stats;
    for sources in [&[stats::CPU, stats::IO][..], &stats::PRESSURE, &stats::MEMORY, &stats::PIDS] {
        read(sources, data);
    }
    let text = String::from_utf8_lossy(data);
    let _ = (limit::parse_table(&text), Pressure::parse(&text));
    assert!(report::list(&text).len() <= 1 << 16);
}

pub fn files_of_v2() -> Vec<Vec<u8>> {
    texts([
        "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 1\nthrottled_usec 9\n",
        "anon 1\nfile 2\ninactive_file 3\nkernel 4\npgfault 5\npgmajfault 6\n",
        "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\npopulated 1\nfrozen 0\n",
        "some avg10=0.00 avg60=1.50 avg300=0.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
        "254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=5 dios=1\n8:16 rbytes=1 wbytes=0 rios=1 wios=0\n",
        "0-3,8,10-11\n",
        "max\n",
    ])
}

pub fn cgroup_v1(data: &[u8]) {
    use v1::stats;
    for sources in [&stats::CPUACCT[..], &stats::CPU, &stats::MEMORY, &stats::BLKIO] {
        read(sources, data);
    }
    let Some(folded) = text(data).and_then(Exceptions::parse) else { return };
    let again = Exceptions::parse(&folded.lines().join("\n")).expect("what was written can be read");
    assert!(again.lines_not_in(&folded).is_empty());
}

pub fn files_of_v1() -> Vec<Vec<u8>> {
    texts([
        "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\nTotal 31\n",
        "8:0 Read 18446744073709551615\n8:16 Read 1\n",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        "total_rss 1\ntotal_cache 2\ntotal_inactive_file 3\ntotal_pgfault 4\ntotal_pgmajfault 5\n",
        "c 1:3 rwm\nb *:* m\nc 136:* rwm\n",
        "9223372036854771712\n",
    ])
}

/// The file `schemata`; its two halves are compared.
pub fn rdt(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (wanted, found) = text.split_once('|').unwrap_or((&text, &text));
    let (wanted, found) = (Schemata::parse(wanted.lines()), Schemata::parse(found.lines()));
    for step in [0, 10, u64::MAX] {
        let _ = wanted.difference(&found, step);
        assert_eq!(wanted.difference(&wanted, step), None);
    }
    let lines: Vec<String> = wanted.resources().filter_map(|name| wanted.line(name)).collect();
    assert_eq!(Schemata::parse(lines.iter().map(String::as_str)), wanted);
}

pub fn schemata_files() -> Vec<Vec<u8>> {
    texts(["    L3:0=0ff;1=fff\n    MB:0= 40;1=100\n", "L3:0=0xff|L3:0=ff", "MB:0=33;1=100|MB:0=40;1=100\n"])
}
