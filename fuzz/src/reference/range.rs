//! The `Range` field (RFC 9110 §14).

use nethttp::fuzzing::FuzzRanges;

/// RFC 9110 §14.1.2 and §14.2.
pub fn ranges(field: &[u8], size: u64) -> FuzzRanges {
    let (unit, set) = field.split_at(field.len().min(6));
    let specs = set.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty());
    let specs: Vec<&[u8]> = specs.collect();
    if !unit.eq_ignore_ascii_case(b"bytes=") || size == 0 || specs.is_empty() || specs.len() > 200 {
        return FuzzRanges::Whole;
    }
    let mut parts = Vec::new();
    for spec in specs {
        let Some((first, end)) = positions(spec, u128::from(size)) else { return FuzzRanges::Refused };
        if first < end {
            parts.push((first, end - first));
        }
    }
    let sum: u128 = parts.iter().map(|(_, length)| length).sum();
    match parts.len() {
        0 => FuzzRanges::Refused,
        _ if sum > u128::from(size) => FuzzRanges::Whole,
        _ => FuzzRanges::Parts(parts.into_iter().map(|(first, length)| (narrow(first), narrow(length))).collect()),
    }
}

/// Where a range starts, and where the first byte after it is; empty beyond the content.
fn positions(spec: &[u8], size: u128) -> Option<(u128, u128)> {
    let dash = spec.iter().position(|b| *b == b'-')?;
    match (spec[..dash].trim_ascii(), spec[dash + 1..].trim_ascii()) {
        (b"", last) => Some((size.saturating_sub(number(last)?), size)),
        (first, b"") => Some((number(first)?, size)),
        (first, last) if number(first)? <= number(last)? => Some((number(first)?, (number(last)? + 1).min(size))),
        _ => None,
    }
}

/// A number beyond 64 bits is the last of them: no content is longer.
fn number(digits: &[u8]) -> Option<u128> {
    let digits = std::str::from_utf8(digits).ok().filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))?;
    let digits = digits.trim_start_matches('0');
    let number = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
    Some(u128::from(number))
}

fn narrow(number: u128) -> u64 {
    number.try_into().expect("it is within the content")
}
