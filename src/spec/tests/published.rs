//! Compares the table of fields with the published JSON schemas of the specification (tests/oci-schema) in both
//! directions: members, types, values, bounds, and required members.

#[path = "../../../tests/common/oci_schema.rs"]
mod oci_schema;

use std::collections::{BTreeMap, BTreeSet};

use oci_schema::{Schema, Schemas, matches};

use super::{base, change};
use crate::spec::shape::{self, Field, Kind, Rule, required};
use crate::spec::{self, schema};

/// The reasons for which the table differs, and where.
const EXPLAINED: &[(&str, &[&str])] = &[
    (
        "create needs it: the plan of init is made at once (docs/specification.md)",
        &[r#"(top): required only here: "linux""#],
    ),
    ("config.md: REQUIRED on Linux; the schema is for all platforms", &[r#"process: required only here: "args""#]),
    (
        "config.md and config-linux.md: REQUIRED; the schema does not say it",
        &[
            r#"linux.memoryPolicy: required only here: "mode""#,
            r#"linux.personality: required only here: "domain""#,
            r#"linux.resources.blockIO.throttleReadBpsDevice[]: required only here: "rate""#,
            r#"linux.resources.blockIO.throttleReadIOPSDevice[]: required only here: "rate""#,
            r#"linux.resources.blockIO.throttleWriteBpsDevice[]: required only here: "rate""#,
            r#"linux.resources.blockIO.throttleWriteIOPSDevice[]: required only here: "rate""#,
        ],
    ),
    (
        "runc and crun take a limit that is not given for none, and a size for 0",
        &[
            r#"linux.resources.pids: required only in the schema: "limit""#,
            r#"process.consoleSize: required only in the schema: "height", "width""#,
        ],
    ),
    ("of version 1.2, and taken as there", &[r#"linux.intelRdt: members only here: "enableCMT", "enableMBM""#]),
    (
        "checked after the table, with the reason (hooks.rs)",
        &[
            "hooks.createContainer[].timeout: -9223372036854775808 to 9223372036854775807 here, 1 to any in the schema",
            "hooks.createRuntime[].timeout: -9223372036854775808 to 9223372036854775807 here, 1 to any in the schema",
            "hooks.poststart[].timeout: -9223372036854775808 to 9223372036854775807 here, 1 to any in the schema",
            "hooks.poststop[].timeout: -9223372036854775808 to 9223372036854775807 here, 1 to any in the schema",
            "hooks.prestart[].timeout: -9223372036854775808 to 9223372036854775807 here, 1 to any in the schema",
            "hooks.startContainer[].timeout: -9223372036854775808 to 9223372036854775807 here, 1 to any in the schema",
        ],
    ),
    (
        "checked after the table, with the reason (intel_rdt.rs, resources.rs, scheduling.rs)",
        &[
            r#"linux.intelRdt.memBwSchema: the schema has the pattern ^MB:[^\n]*$"#,
            "linux.resources.hugepageLimits[].pageSize: the schema has the pattern ^[1-9][0-9]*[KMG]B$",
            "process.execCPUAffinity.final: the schema has the pattern ^[0-9, -]*$",
            "process.execCPUAffinity.initial: the schema has the pattern ^[0-9, -]*$",
        ],
    ),
    (
        "names and modes of the kernel, which it would refuse later or take for others",
        &["linux.resources.devices[].type: any string in the schema, here a device rule's type"],
    ),
    (
        r#"the last id is -1, which the kernel takes for "leave it as it is""#,
        &[
            "linux.devices[].gid: 0 to 4294967294 here, 0 to 4294967295 in the schema",
            "linux.devices[].uid: 0 to 4294967294 here, 0 to 4294967295 in the schema",
            "process.user.additionalGids[]: 0 to 4294967294 here, 0 to 4294967295 in the schema",
            "process.user.gid: 0 to 4294967294 here, 0 to 4294967295 in the schema",
            "process.user.uid: 0 to 4294967294 here, 0 to 4294967295 in the schema",
        ],
    ),
    (
        "bounds of the kernel: proc_pid_oom_score_adj(5), ioprio_set(2), sched_setattr(2)",
        &[
            "process.oomScoreAdj: -1000 to 1000 here, any to any in the schema",
            "process.ioPriority.priority: 0 to 7 here, -2147483648 to 2147483647 in the schema",
            "process.scheduler.nice: -20 to 19 here, -2147483648 to 2147483647 in the schema",
            "process.scheduler.priority: 0 to 99 here, -2147483648 to 2147483647 in the schema",
            "process.scheduler.deadline: 0 to 9223372036854775807 here, 0 to 18446744073709551615 in the schema",
            "process.scheduler.period: 0 to 9223372036854775807 here, 0 to 18446744073709551615 in the schema",
            "process.scheduler.runtime: 0 to 9223372036854775807 here, 0 to 18446744073709551615 in the schema",
        ],
    ),
    (
        "bounds of the kernel: seccomp(2) with its MAX_ERRNO and six arguments, clock_settime(2), memory.swappiness",
        &[
            "linux.seccomp.defaultErrnoRet: 0 to 4094 here, 0 to 4294967295 in the schema",
            "linux.seccomp.syscalls[].errnoRet: 0 to 4094 here, 0 to 4294967295 in the schema",
            "linux.seccomp.syscalls[].args[].index: 0 to 5 here, 0 to 4294967295 in the schema",
            "linux.timeOffsets.boottime.nanosecs: 0 to 999999999 here, 0 to 4294967295 in the schema",
            "linux.timeOffsets.monotonic.nanosecs: 0 to 999999999 here, 0 to 4294967295 in the schema",
            "linux.resources.memory.swappiness: 0 to 100 here, 0 to 18446744073709551615 in the schema",
        ],
    ),
    (
        "names of other clocks are refused after the table, with the reason (namespaces.rs)",
        &[r#"linux.timeOffsets: any name here, in the schema "boottime", "monotonic""#],
    ),
    (
        "below -1, which is no limit, there is no number of bytes",
        &[
            "linux.resources.memory.kernel: -1 to 9223372036854775807 here, -9223372036854775808 to 9223372036854775807 in the schema",
            "linux.resources.memory.kernelTCP: -1 to 9223372036854775807 here, -9223372036854775808 to 9223372036854775807 in the schema",
        ],
    ),
    (
        "runc and crun take -1 for no limit",
        &[
            "linux.resources.hugepageLimits[].limit: -1 to 18446744073709551615 here, 0 to 18446744073709551615 in the schema",
        ],
    ),
    (
        "set-user-ID bits, and the bits of the type, which some programs leave in, are checked after the table (devices.rs)",
        &["linux.devices[].fileMode: 0 to 4294967295 here, 0 to 511 in the schema"],
    ),
    (
        "runc and crun have them, too: recursive propagation, none, and libseccomp's name of the host's architecture",
        &[
            r#"linux.rootfsPropagation: values only here: "", "rprivate", "rshared", "rslave", "runbindable""#,
            r#"linux.seccomp.architectures[]: values only here: "SCMP_ARCH_NATIVE""#,
        ],
    ),
];

/// A comparison of the table at a path with the schema at that path.
struct Comparison(BTreeSet<String>);

impl Comparison {
    fn differs(&mut self, path: &str, how: impl std::fmt::Display) {
        let path = if path.is_empty() { "(top)" } else { path };
        self.0.insert(format!("{path}: {how}"));
    }

    fn kind(&mut self, kind: &Kind, schema: Schema, path: &str) {
        if name_of(kind) != schema.kind() {
            return self.differs(path, format_args!("{} here, {} in the schema", name_of(kind), schema.kind()));
        }
        match kind {
            Kind::Bool => {}
            Kind::Text | Kind::OneOf(..) => self.text(kind, schema, path),
            Kind::Int(least, greatest) => self.bounds(*least, *greatest, schema, path),
            Kind::List(element) => self.kind(element, schema.items().unwrap(), &format!("{path}[]")),
            Kind::Map(element) => self.map(element, schema, path),
            Kind::Object(fields) => self.members(fields, schema, path),
        }
    }

    fn text(&mut self, kind: &Kind, schema: Schema, path: &str) {
        match (kind, schema.values(), schema.pattern()) {
            (Kind::OneOf(_, ours), Some(theirs), _) => {
                let ours: BTreeSet<&str> = ours.iter().copied().collect();
                self.sets("values", &ours, &theirs, path);
            }
            (Kind::OneOf(_, ours), None, Some(pattern)) => {
                for value in ours.iter().filter(|value| !matches(pattern, value)) {
                    self.differs(path, format_args!("{value} does not match {pattern}"));
                }
            }
            (Kind::OneOf(what, _), None, None) => {
                self.differs(path, format_args!("any string in the schema, here {what}"));
            }
            (_, Some(_), _) => self.differs(path, "any string here, some values in the schema"),
            (_, None, Some(pattern)) => self.differs(path, format_args!("the schema has the pattern {pattern}")),
            (_, None, None) => {}
        }
    }

    fn bounds(&mut self, least: i128, greatest: i128, schema: Schema, path: &str) {
        let (from, to) = schema.bounds();
        if (Some(least), Some(greatest)) != (from, to) {
            let shown = |bound: Option<i128>| bound.map_or("any".to_owned(), |bound| bound.to_string());
            let theirs = format!("{} to {}", shown(from), shown(to));
            self.differs(path, format_args!("{least} to {greatest} here, {theirs} in the schema"));
        }
    }

    fn map(&mut self, element: &Kind, schema: Schema, path: &str) {
        if let Some(any) = schema.any_member() {
            return self.kind(element, any, &format!("{path}.*"));
        }
        let names = schema.members();
        self.differs(path, format_args!("any name here, in the schema {}", listed(names.keys())));
        for (name, schema) in names {
            self.kind(element, schema, &format!("{path}.{name}"));
        }
    }

    fn members(&mut self, fields: &[Field], schema: Schema, path: &str) {
        let theirs = schema.members();
        let ours: BTreeMap<&str, &Rule> = fields.iter().map(|field| (field.name, &field.rule)).collect();
        let names = |map: &mut dyn Iterator<Item = &&'static str>| map.copied().collect::<BTreeSet<&str>>();
        self.sets("members", &names(&mut ours.keys()), &theirs.keys().copied().collect(), path);
        let required = |name: &&&str| matches!(ours[**name], Rule::Required(_));
        self.sets("required", &ours.keys().filter(required).copied().collect(), &schema.required(), path);
        for (name, rule) in ours {
            if let (Rule::Required(kind) | Rule::Optional(kind), Some(schema)) = (rule, theirs.get(name)) {
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                self.kind(kind, *schema, &path);
            }
        }
    }

    fn sets(&mut self, what: &str, ours: &BTreeSet<&str>, theirs: &BTreeSet<&str>, path: &str) {
        for (place, set, other) in [("here", ours, theirs), ("in the schema", theirs, ours)] {
            let only: Vec<&&str> = set.difference(other).collect();
            if !only.is_empty() {
                self.differs(path, format_args!("{what} only {place}: {}", listed(&only)));
            }
        }
    }
}

fn name_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool => "boolean",
        Kind::Text | Kind::OneOf(..) => "string",
        Kind::Int(..) => "integer",
        Kind::List(_) => "array",
        Kind::Object(_) | Kind::Map(_) => "object",
    }
}

fn listed<T: std::fmt::Debug>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_table_is_the_published_schema_but_for_explained_differences() {
    let schemas = Schemas::published();
    let config = schemas.file("config-schema.json");
    let mut comparison = Comparison(BTreeSet::new());
    comparison.kind(&schema::CONFIG, config, "");
    let explained: BTreeSet<String> = EXPLAINED.iter().flat_map(|(_, list)| *list).map(ToString::to_string).collect();
    let lines = |set: Vec<&String>| set.into_iter().map(|line| format!("\n  {line}")).collect::<String>();
    let new = lines(comparison.0.difference(&explained).collect());
    let gone = lines(explained.difference(&comparison.0).collect());
    assert!(new.is_empty() && gone.is_empty(), "not explained:{new}\nexplained, but no longer there:{gone}");
}

#[test]
fn a_later_change_knows_the_same_members() {
    let names = |kind: &Kind| -> BTreeSet<&str> {
        let Kind::Object(fields) = kind else { unreachable!("both are objects") };
        fields.iter().map(|field| field.name).collect()
    };
    let mut objects = Vec::new();
    shape::objects(&schema::CONFIG, "", &mut objects);
    let (_, created) = objects.into_iter().find(|(path, _)| path == "linux.intelRdt").unwrap();
    assert_eq!(names(&schema::INTEL_RDT_CHANGE), created.into_iter().collect());
}

#[test]
fn the_schemas_are_those_of_the_newest_supported_version() {
    let readme = include_str!("../../../tests/oci-schema/README.md");
    let title = readme.lines().next().unwrap();
    assert!(title.ends_with(&format!(" {}", spec::VERSIONS.1)), "{title}");
}

#[test]
fn the_base_configuration_fits_the_schema() {
    let schemas = Schemas::published();
    let mut document = base();
    let schema = schemas.file("config-schema.json");
    assert_eq!(schema.problems(&document), [""; 0]);
    change(&mut document, "/linux/seccomp", r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": []}]}"#);
    let expected = ["linux.seccomp.syscalls[0]: lacks action", "linux.seccomp.syscalls[0].names: has too few elements"];
    assert_eq!(schema.problems(&document), expected.map(|problem| format!("(document).{problem}")));
}

/// The comparison finds each sort of difference.
#[test]
fn what_a_new_version_brings_is_named() {
    let schemas = Schemas::published();
    let user = schemas.file("config-schema.json").members()["process"].members()["user"];
    let mut comparison = Comparison(BTreeSet::new());
    const FIELDS: [Field; 2] = [required("uid", Kind::Text), required("name", Kind::Bool)];
    comparison.members(&FIELDS, user, "user");
    let expected = [
        r#"user.uid: string here, integer in the schema"#,
        r#"user: members only here: "name""#,
        r#"user: members only in the schema: "additionalGids", "gid", "umask", "username""#,
        r#"user: required only here: "name", "uid""#,
    ];
    assert_eq!(comparison.0, expected.map(str::to_owned).into());
}
