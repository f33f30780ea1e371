//! AppArmor profiles for tests, on kernels with AppArmor.

use std::io::Write;
use std::process::{Command, Stdio};

use super::unique;

pub fn apparmor() -> bool {
    std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text == "Y\n")
        && Command::new("apparmor_parser").arg("--version").output().is_ok()
}

/// A loaded AppArmor profile that denies only writes to /dev/shm/forbidden*; unloaded on drop.
pub struct Profile(pub String);

impl Profile {
    pub fn load() -> Profile {
        let profile = Profile(unique("berth-profile"));
        profile.parser("--replace");
        profile
    }

    fn parser(&self, action: &str) {
        let rules = "file,\n capability,\n network,\n signal,\n ptrace,\n unix,\n mount,\n change_profile,\n \
                     deny /dev/shm/forbidden* w,\n";
        let text = format!("profile {} flags=(attach_disconnected) {{\n {rules} }}\n", self.0);
        let mut parser = Command::new("apparmor_parser");
        let mut parser = parser.args([action, "--skip-cache"]).stdin(Stdio::piped()).spawn().unwrap();
        parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(parser.wait().unwrap().success());
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}
