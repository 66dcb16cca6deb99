//! Ranges are what the slow reference reads: never empty, never beyond the content, never more than it in sum.

use nethttp::fuzzing::{self, FuzzRanges};

use crate::reference::range;

/// The first line is the size of the content, the rest the field.
pub fn check(data: &[u8]) {
    let at = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let size = std::str::from_utf8(&data[..at]).ok().and_then(|size| size.parse().ok()).unwrap_or(10);
    let field = data.get(at + 1..).unwrap_or_default();
    let ranges = fuzzing::ranges(field, size);
    assert_eq!(ranges, range::ranges(field, size));
    let FuzzRanges::Parts(parts) = ranges else { return };
    assert!(!parts.is_empty() && parts.iter().all(|(_, length)| *length > 0));
    assert!(parts.iter().all(|(start, length)| u128::from(*start) + u128::from(*length) <= u128::from(size)));
    assert!(parts.iter().map(|(_, length)| u128::from(*length)).sum::<u128>() <= u128::from(size));
}
