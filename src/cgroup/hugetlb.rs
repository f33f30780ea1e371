//! Limits of huge pages. v1 and v2 differ in one file name.

use oci_spec::runtime::LinuxHugepageLimit;

use super::journal::LimitTarget;
use crate::error::Result;

/// Sets the limits. `word` is the limit's name: "limit_in_bytes" on v1, "max" on v2.
pub fn apply(place: LimitTarget, limits: &[LinuxHugepageLimit], word: &str) -> Result<()> {
    for (index, limit) in limits.iter().enumerate() {
        let size = limit.page_size();
        let field = format!("linux.resources.hugepageLimits[{index}].limit");
        let bytes = match limit.limit() {
            // v1 accepts -1 for "no limit".
            bytes if bytes < 0 && word == "max" => "max".to_owned(),
            bytes => bytes.to_string(),
        };
        place.set(&format!("hugetlb.{size}.{word}"), &bytes, &field)?;
        // Reservations by mmap(2) are counted separately since Linux 5.7. With a limit of usage alone, processes would
        // be killed by SIGBUS instead of mmap failing.
        let reserved = format!("hugetlb.{size}.rsvd.{word}");
        if place.has(&reserved)? {
            place.set(&reserved, &bytes, &field)?;
        }
    }
    Ok(())
}
