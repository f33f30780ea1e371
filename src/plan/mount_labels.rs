//! Sets the SELinux label of new filesystems, `linux.mountLabel`.

use super::Step;
use crate::security::labels::mount_label;
use crate::spec::mount_options::FilesystemOption;
use crate::spec::oci::Spec;

/// The filesystems that the kernel labels itself; it refuses other labels.
const LABELED_BY_KERNEL: [&str; 5] = ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"];

/// Adds the configured label to new filesystems that have no label of their own. Bind mounts keep theirs.
pub fn label_mounts(steps: &mut [Step], spec: &Spec) {
    let Some(label) = mount_label(spec) else { return };
    for step in steps {
        if let Step::Mount { kind, options, .. } = step
            && !LABELED_BY_KERNEL.contains(&kind.as_str())
            && !options.iter().any(|option| option.name == "context")
        {
            options.push(FilesystemOption::with_value("context", label));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CopyUp;

    #[test]
    fn new_filesystems_have_the_label_and_others_their_own() {
        let spec: Spec = serde_json::from_str(
            r#"{ "ociVersion": "1.3.0", "linux": { "mountLabel": "system_u:object_r:container_file_t:s0:c1,c2" } }"#,
        )
        .unwrap();
        let mount = |kind: &str, options: &[(&str, &str)]| Step::Mount {
            kind: kind.into(),
            source: None,
            target: "/x".into(),
            attributes: 0,
            options: options.iter().map(|(name, value)| FilesystemOption::with_value(*name, *value)).collect(),
            copy_up: CopyUp::No,
            id_map: None,
            entry: None,
        };
        let mut steps = [
            mount("tmpfs", &[("size", "1k")]),
            mount("proc", &[]),
            mount("cgroup2", &[]),
            mount("tmpfs", &[("context", "mine")]),
            Step::Session,
        ];
        label_mounts(&mut steps, &spec);
        let contexts = steps.iter().map(|step| match step {
            Step::Mount { options, .. } => options
                .iter()
                .filter(|option| option.name == "context")
                .map(|option| option.value.clone().unwrap())
                .collect(),
            _ => vec![],
        });
        let label = "system_u:object_r:container_file_t:s0:c1,c2";
        assert_eq!(contexts.collect::<Vec<Vec<String>>>(), [vec![label], vec![], vec![], vec!["mine"], vec![]]);
    }
}
