//! Huge pages. v1 and v2 differ in one word.

use oci_spec::runtime::LinuxHugepageLimit;

use super::journal::Place;
use crate::error::Result;

/// `word` is what the limit is called: "limit_in_bytes" on v1, "max" on v2.
pub fn apply(place: Place, limits: &[LinuxHugepageLimit], word: &str) -> Result<()> {
    for (index, limit) in limits.iter().enumerate() {
        let size = limit.page_size();
        let field = format!("linux.resources.hugepageLimits[{index}].limit");
        let bytes = match limit.limit() {
            // v1 takes -1 for it.
            bytes if bytes < 0 && word == "max" => "max".to_owned(),
            bytes => bytes.to_string(),
        };
        place.set(&format!("hugetlb.{size}.{word}"), &bytes, &field)?;
        // What is reserved by mmap(2) is counted by itself since Linux 5.7; a limit of usage alone would have
        // processes killed by SIGBUS instead of having mmap refused.
        let reserved = format!("hugetlb.{size}.rsvd.{word}");
        if place.has(&reserved)? {
            place.set(&reserved, &bytes, &field)?;
        }
    }
    Ok(())
}
