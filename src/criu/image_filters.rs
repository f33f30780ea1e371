//! Replaces the system call filter in images by the configuration's.
//!
//! Init loads the configuration's filter before its program runs, so it is the oldest filter of every process. Restored
//! processes get the configuration's again, whatever the images have in its place: an edited image may have one that
//! allows everything, and the dumping host may have compiled it with another version of libseccomp. Filters that
//! processes have loaded themselves stay.

use prost::encoding;

use super::ImageDir;
use super::image::{Fields, first, mismatch};
use crate::error::Result;
use crate::security::seccomp::Filter;

const IMAGE: &str = "seccomp.img";
/// The magic numbers, before the only message.
const HEADER: usize = 8;
/// Far more than the kernel's limit of instructions lets a process have.
const MAX_LENGTH: usize = 64 << 20;

/// Fields of seccomp_entry and seccomp_filter.
const FILTERS: u32 = 1;
const PROGRAM: u32 = 1;
const PREVIOUS: u32 = 2;
const FLAGS: u32 = 3;

/// SECCOMP_FILTER_FLAG_TSYNC: CRIU loads a filter for all threads of a process at once.
const ALL_THREADS: u32 = libc::SECCOMP_FILTER_FLAG_TSYNC as u32;

/// Returns the image of filters with the configuration's, and its name. None if there is no filter to replace.
pub fn replaced_filters(images: &ImageDir, filter: Option<&Filter>) -> Result<Option<(String, Vec<u8>)>> {
    let Some(filter) = filter else { return Ok(None) };
    if images.images(IMAGE)?.is_empty() {
        return Ok(None);
    }
    let image = images.read_image(IMAGE)?;
    let entry = first(IMAGE, &image)?;
    let filters: Option<Vec<(&[u8], Fields)>> =
        entry.all_bytes(FILTERS).map(|bytes| Some((bytes, Fields::parse(bytes)?))).collect();
    let filters = filters.ok_or_else(|| mismatch(format!("{IMAGE} is malformed")))?;
    let previous = |fields: &Fields| fields.has(PREVIOUS).then(|| fields.number(PREVIOUS));
    if let Some(index) = endless(&filters.iter().map(|(_, fields)| previous(fields)).collect::<Vec<_>>()) {
        return Err(mismatch(format!("{IMAGE}, filter {}: there is no first filter before it", index + 1)));
    }
    let mut message = Vec::new();
    for (bytes, fields) in &filters {
        if message.len() > MAX_LENGTH {
            return Err(mismatch(format!("{IMAGE} has {} filters, which are too many", filters.len())));
        }
        let bytes = match previous(fields) {
            Some(_) => bytes.to_vec(),
            None => configured(filter, fields.number(FLAGS) as u32),
        };
        encoding::bytes::encode(FILTERS, &bytes, &mut message);
    }
    if message.is_empty() {
        return Ok(None);
    }
    let length = (message.len() as u32).to_le_bytes();
    Ok(Some((IMAGE.into(), [&image[..HEADER], &length, &message].concat())))
}

/// Returns a filter from which the previous ones do not lead to one without a previous one: they lead in a circle or to
/// one that does not exist.
fn endless(previous: &[Option<u64>]) -> Option<usize> {
    let mut ends = vec![false; previous.len()];
    for start in 0..previous.len() {
        let (mut at, mut passed) = (start, Vec::new());
        while !ends[at] {
            passed.push(at);
            match previous[at].map(usize::try_from) {
                None => break,
                Some(Ok(next)) if next < previous.len() && passed.len() <= previous.len() => at = next,
                Some(_) => return Some(start),
            }
        }
        passed.into_iter().for_each(|index| ends[index] = true);
    }
    None
}

/// Returns the configuration's filter as a message.
fn configured(filter: &Filter, flags: u32) -> Vec<u8> {
    let mut program = Vec::new();
    for instruction in &filter.program {
        program.extend(instruction.code.to_ne_bytes());
        program.extend([instruction.if_true, instruction.if_false]);
        program.extend(instruction.value.to_ne_bytes());
    }
    let mut message = Vec::new();
    encoding::bytes::encode(PROGRAM, &program, &mut message);
    encoding::uint32::encode(FLAGS, &(flags & (filter.flags | ALL_THREADS)), &mut message);
    message
}

#[cfg(test)]
mod tests {
    use super::endless;

    #[test]
    fn filters_lead_to_a_first_one() {
        assert_eq!(endless(&[]), None);
        assert_eq!(endless(&[Some(2), None, Some(1), Some(2)]), None);
        assert_eq!(endless(&[None, Some(1)]), Some(1));
        assert_eq!(endless(&[Some(1), Some(0)]), Some(0));
        assert_eq!(endless(&[None, Some(2)]), Some(1));
        assert_eq!(endless(&[None, Some(u64::MAX)]), Some(1));
    }
}
