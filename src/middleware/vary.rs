//! `Vary`: which fields of the request a response depends on (RFC 9110 §12.5.5).

use crate::message::Header;

/// Adds names to `Vary`, each once. `*`, which says that the response depends on more than fields, covers them
/// all.
pub(super) fn add_to_vary(header: &mut Header, names: &[&str]) {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !varies_on(header, name)).collect();
    if !missing.is_empty() {
        // A line of its own: what the handler has set stays as it is, and lines of one name are one list.
        header.add("Vary", missing.join(", "));
    }
}

fn varies_on(header: &Header, name: &str) -> bool {
    header.has_token("Vary", name) || header.has_token("Vary", "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_there_once_and_a_star_covers_all() {
        for (before, names, after) in [
            (&[][..], &["Origin"][..], &["Origin"][..]),
            (&["Accept-Encoding"], &["Origin"], &["Accept-Encoding", "Origin"]),
            (&["accept, ORIGIN"], &["Origin", "Cookie"], &["accept, ORIGIN", "Cookie"]),
            (&["*"], &["Origin"], &["*"]),
            (&["Origin", "Cookie"], &["Cookie", "Origin"], &["Origin", "Cookie"]),
        ] {
            let mut header: Header = before.iter().map(|value| ("Vary", value)).collect();
            add_to_vary(&mut header, names);
            assert_eq!(header.values("Vary").collect::<Vec<_>>(), after, "{before:?} and {names:?}");
        }
    }
}
