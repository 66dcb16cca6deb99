//! How urgent a response is to the client (RFC 9218 §4).

/// What a `priority` field, or a PRIORITY_UPDATE frame, asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Priority {
    /// 0, the most urgent, to 7.
    pub(crate) urgency: u8,
    /// Whether the client can use the response piece by piece, so that it may share the line with others.
    pub(crate) incremental: bool,
}

impl Priority {
    /// RFC 9218 §4.1 and §4.2.
    pub(crate) const DEFAULT: Priority = Priority { urgency: 3, incremental: false };

    /// What a peer gets that has not shown that it knows priorities: its responses share the line, since
    /// it did not say that they may go one after the other (Go does the same).
    pub(crate) const UNAWARE: Priority = Priority { urgency: 3, incremental: true };

    /// Reads a dictionary (RFC 9651 §3.2). Parameters that are unknown, out of range or of another type are
    /// left at their defaults (RFC 9218 §4), and so is everything where the text is no dictionary.
    pub(crate) fn parse(text: &[u8]) -> Priority {
        let mut priority = Priority::DEFAULT;
        let mut rest = text.trim_ascii();
        while !rest.is_empty() {
            let (member, after) = split_member(rest);
            let item = without_parameters(member).trim_ascii();
            match item {
                // The last one of a name counts (RFC 9651 §3.2).
                b"i" | b"i=?1" => priority.incremental = true,
                b"i=?0" => priority.incremental = false,
                [b'u', b'=', digit @ b'0'..=b'7'] => priority.urgency = digit - b'0',
                [b'a'..=b'z' | b'*', ..] => {}
                _ => return Priority::DEFAULT,
            }
            rest = after;
        }
        priority
    }
}

/// The text up to the first comma outside of a string, and what follows it.
fn split_member(text: &[u8]) -> (&[u8], &[u8]) {
    let end = end_of(text, b',');
    let (member, after) = text.split_at_checked(end).unwrap_or((text, b""));
    (member, after.get(1..).unwrap_or_default().trim_ascii())
}

fn without_parameters(member: &[u8]) -> &[u8] {
    member.get(..end_of(member, b';')).unwrap_or(member)
}

/// Where this byte stands outside of a string, or the end.
fn end_of(text: &[u8], end: u8) -> usize {
    let (mut in_string, mut is_escaped) = (false, false);
    let is_end = |&byte: &u8| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match byte {
            b'"' if !was_escaped => in_string = !in_string,
            b'\\' if in_string && !was_escaped => is_escaped = true,
            _ => {}
        }
        byte == end && !in_string
    };
    text.iter().position(is_end).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_what_its_field_says() {
        for (text, urgency, incremental) in [
            ("", 3, false),
            ("u=0", 0, false),
            ("u=7, i", 7, true),
            ("i,u=5", 5, true),
            ("i=?1", 3, true),
            ("i=?0", 3, false),
            ("  u=1 ,\ti  ", 1, true),
            ("u=1, u=2, i, i=?0", 2, false),
            ("u=1;foo=\"a,b;c\", i;x", 1, true),
            ("x=\"u=1, i\\\", u=2\", u=4", 4, false),
            ("*z=1, u=6", 6, false),
        ] {
            assert_eq!(Priority::parse(text.as_bytes()), Priority { urgency, incremental }, "{text:?}");
        }
    }

    #[test]
    fn what_is_out_of_range_or_no_dictionary_is_the_default() {
        for text in
            ["u=8", "u=-1", "u=1.0", "u=\"1\"", "u", "i=1", "i=?2", "u=10", "U=1", "=", ",,", "u=1, \"", "\u{e9}"]
        {
            assert_eq!(Priority::parse(text.as_bytes()), Priority::DEFAULT, "{text:?}");
        }
    }
}
