//! Whether the client's copy is still good: pure functions on what it said and what there is.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::message::{Header, parse_time};

/// The time from which the client has a copy, where it asks by time.
pub(super) fn if_modified_since(header: &Header) -> Option<SystemTime> {
    // RFC 9110 §13.1.3: "a recipient MUST ignore If-Modified-Since if the request contains an
    // If-None-Match", and where the value is no date, or there is more than one.
    if header.contains("If-None-Match") {
        return None;
    }
    let mut values = header.values("If-Modified-Since");
    let value = values.next()?;
    if values.next().is_some() { None } else { parse_time(value) }
}

/// Whether what was last modified at `modified` is unmodified since `since`.
pub(super) fn is_unmodified(modified: Option<SystemTime>, since: Option<SystemTime>) -> bool {
    // Whole seconds: Last-Modified has dropped the fraction before the client sent it back.
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|since_epoch| since_epoch.as_secs());
    match (modified.and_then(seconds), since.and_then(seconds)) {
        (Some(modified), Some(since)) => modified <= since,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn header(fields: &[(&str, &str)]) -> Header {
        let mut header = Header::new();
        for (name, value) in fields {
            header.add(name, value);
        }
        header
    }

    #[test]
    fn a_time_is_taken_only_where_it_is_the_one_condition() {
        assert_eq!(if_modified_since(&header(&[("If-Modified-Since", DATE)])), parse_time(DATE));
        let ignored: [&[(&str, &str)]; 4] = [
            &[],
            &[("If-Modified-Since", "yesterday")],
            &[("If-Modified-Since", DATE), ("If-None-Match", "\"x\"")],
            &[("If-Modified-Since", DATE), ("If-Modified-Since", DATE)],
        ];
        for fields in ignored {
            assert_eq!(if_modified_since(&header(fields)), None, "{fields:?}");
        }
    }

    #[test]
    fn a_fraction_of_a_second_does_not_count_and_a_second_does() {
        let since = parse_time(DATE);
        let after = |millis| since.map(|time| time + Duration::from_millis(millis));
        assert!(is_unmodified(after(0), since));
        assert!(is_unmodified(after(999), since));
        assert!(!is_unmodified(after(1000), since));
        assert!(is_unmodified(since, after(86_400_000)));
    }

    #[test]
    fn what_has_no_time_counts_as_modified() {
        assert!(!is_unmodified(None, parse_time(DATE)));
        assert!(!is_unmodified(parse_time(DATE), None));
    }
}
