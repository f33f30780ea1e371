//! Caches compiled filters by the profile that they were compiled from.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Filter;
use crate::error::Result;
use crate::spec::oci::LinuxSeccomp;

/// The number of cached filters. Hosts use few different profiles.
const MAX_FILTERS: usize = 32;
/// The largest profile that is cached, in names and conditions; limits memory.
const MAX_PARTS: usize = 8192;

pub struct Cache {
    /// The cached filters, the most recently used first.
    entries: VecDeque<(LinuxSeccomp, Arc<Filter>)>,
    #[cfg(test)]
    pub compiled: usize,
}

impl Cache {
    pub const fn new() -> Cache {
        Cache {
            entries: VecDeque::new(),
            #[cfg(test)]
            compiled: 0,
        }
    }

    pub fn get(
        &mut self,
        seccomp: &LinuxSeccomp,
        compile: impl FnOnce(&LinuxSeccomp) -> Result<Filter>,
    ) -> Result<Arc<Filter>> {
        // The agent's address does not affect the filter.
        let mut key = seccomp.clone();
        key.set_listener_path(None).set_listener_metadata(None);
        if let Some(place) = self.entries.iter().position(|(known, _)| *known == key)
            && let Some(entry) = self.entries.remove(place)
        {
            let filter = entry.1.clone();
            self.entries.push_front(entry);
            return Ok(filter);
        }
        #[cfg(test)]
        {
            self.compiled += 1;
        }
        let filter = Arc::new(compile(seccomp)?);
        if parts(seccomp) <= MAX_PARTS {
            self.entries.truncate(MAX_FILTERS - 1);
            self.entries.push_front((key, filter.clone()));
        }
        Ok(filter)
    }
}

fn parts(seccomp: &LinuxSeccomp) -> usize {
    let rules = seccomp.syscalls().iter().flatten();
    rules.map(|rule| rule.names().len() + rule.args().as_ref().map_or(0, Vec::len) + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(errno: u32) -> LinuxSeccomp {
        let text = format!(r#"{{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": {errno} }}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn compiled(_: &LinuxSeccomp) -> Result<Filter> {
        Ok(Filter { program: vec![], flags: 0, notifies: false, errnos: vec![], unknown: vec![] })
    }

    #[test]
    fn equal_profiles_are_compiled_once() {
        let mut cache = Cache::new();
        let first = cache.get(&profile(1), compiled).unwrap();
        let mut same = profile(1);
        same.set_listener_path(Some("/run/agent".into()));
        let second = cache.get(&same, |_| panic!("compiled again")).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        cache.get(&profile(2), compiled).unwrap();
        assert_eq!(cache.compiled, 2);
    }

    #[test]
    fn the_cache_forgets_what_was_not_used_for_longest() {
        let mut cache = Cache::new();
        for errno in 0..MAX_FILTERS as u32 {
            cache.get(&profile(errno), compiled).unwrap();
        }
        cache.get(&profile(0), |_| panic!("compiled again")).unwrap();
        cache.get(&profile(1000), compiled).unwrap();
        assert_eq!(cache.entries.len(), MAX_FILTERS);
        cache.get(&profile(0), |_| panic!("forgotten though it was used")).unwrap();
        let before = cache.compiled;
        cache.get(&profile(1), compiled).unwrap();
        assert_eq!(cache.compiled, before + 1, "the one not used for longest is gone");
    }

    #[test]
    fn a_profile_that_fails_is_not_kept() {
        let mut cache = Cache::new();
        let fails = |_: &LinuxSeccomp| Err(crate::error::Error::config("linux.seccomp", "is bad"));
        assert!(cache.get(&profile(1), fails).is_err());
        assert!(cache.get(&profile(1), compiled).is_ok());
    }

    #[test]
    fn a_giant_profile_is_not_kept() {
        let mut cache = Cache::new();
        let names = vec!["read"; MAX_PARTS + 1];
        let text = serde_json::json!({
            "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": names, "action": "SCMP_ACT_LOG" }],
        });
        let giant: LinuxSeccomp = serde_json::from_value(text).unwrap();
        cache.get(&giant, compiled).unwrap();
        assert!(cache.entries.is_empty());
    }
}
