//! AppArmor and SELinux labels at a restore.

use berth::Code;
use berth::criu::RestoreOptions;
use serde_json::json;

use crate::common::*;
use crate::support::*;

#[test]
fn a_restored_process_has_its_apparmor_profile_or_the_one_that_is_asked_for() {
    if !apparmor() {
        return;
    }
    let (first, second) = (Profile::load(), Profile::load());
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    config["process"]["apparmorProfile"] = json!(first.0);
    let images = test.images("images");
    test.dumped(&config, &data, &into(&images));
    let files = Files::of(&data);
    let label = |container: &berth::Container| std::fs::read_to_string(proc_of(container, "attr/current")).unwrap();
    let restored = test.restored(&config, &images);
    assert_eq!(label(&restored), format!("{} (enforce)\n", first.0));
    counts_on(&data);
    end(restored);
    files.put_back();
    let options = RestoreOptions { lsm_profile: Some(format!("apparmor:{}", second.0)), ..from(&images) };
    let restored = test.restore(&config, &options).unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    assert_eq!(label(&restored), format!("{} (enforce)\n", second.0));
    counts_on(&data);
    end(restored);
}

/// The configuration alone decides how a container is confined, not images or CRIU.
#[test]
fn images_whose_processes_have_another_label_than_the_configuration_says_are_refused() {
    if !apparmor() {
        return;
    }
    let profile = Profile::load();
    let test = test_runtime();
    let data = test.data();
    let images = test.images("images");
    let unconfined = counter(&data);
    test.dumped(&unconfined, &data, &into(&images));
    let files = Files::of(&data);
    let mut config = unconfined.clone();
    config["process"]["apparmorProfile"] = json!(profile.0);
    let error = test.restore(&config, &from(&images)).unwrap_err();
    let expected = format!("has the AppArmor label \"unconfined\" instead of {:?}", profile.0);
    assert!(error.code == Code::Criu && error.message.contains(&expected), "{error}");
    assert_eq!(test.runtime.ids().unwrap(), Vec::<String>::new());
    files.put_back();
    end(test.restored(&unconfined, &images));
}

/// CRIU would silently ignore some of them.
#[test]
fn a_label_without_its_module_is_refused_before_anything_is_created() {
    let test = test_runtime();
    let images = test.make_dir("images");
    let profile = |text: &str| RestoreOptions { lsm_profile: Some(text.into()), ..from(&images) };
    let mut wrong = vec![
        (profile("apparmor"), Code::InvalidArgument, "lsm_profile is \"apparmor\"; expected"),
        (profile("apparmor:"), Code::InvalidArgument, "lsm_profile is \"apparmor:\"; expected"),
        (profile("smack:x"), Code::InvalidArgument, "lsm_profile is \"smack:x\"; expected"),
    ];
    if !apparmor() {
        wrong.push((profile("apparmor:x"), Code::Unsupported, "AppArmor is not enabled on this host"));
    }
    if !std::fs::read_to_string("/proc/filesystems").unwrap().contains("selinuxfs") {
        wrong.push((profile("selinux:a:b:c:s0"), Code::Unsupported, "SELinux is not enabled on this host"));
        let context = RestoreOptions { lsm_mount_context: Some("a:b:c:s0".into()), ..from(&images) };
        wrong.push((context, Code::Unsupported, "lsm_mount_context"));
    }
    for (options, code, expected) in wrong {
        let error = test.restore(&shell("exit"), &options).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(expected), "{error}");
        assert_eq!(test.runtime.ids().unwrap(), Vec::<String>::new());
    }
}
