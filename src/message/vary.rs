//! `Vary`: which fields of the request a response depends on (RFC 9110 §12.5.5).

use super::header::Header;

/// Adds names to `Vary`, each once. `*`, which says that the response depends on more than fields, covers them
/// all.
pub(crate) fn add_to_vary(header: &mut Header, names: &[&str]) {
    let varies_on = |name: &str| header.has_token("Vary", name) || header.has_token("Vary", "*");
    let missing: Vec<&[u8]> = names.iter().filter(|name| !varies_on(name)).map(|name| name.as_bytes()).collect();
    if missing.is_empty() {
        return;
    }
    let there = header.values_bytes("Vary").filter(|value| !value.is_empty());
    let list = there.chain(missing).collect::<Vec<_>>().join(&b", "[..]);
    // One line instead of one more: caches are known that look at the first one alone.
    header.set("Vary", list);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_there_once_and_a_star_covers_all() {
        for (before, names, after) in [
            (&[][..], &["Origin"][..], &["Origin"][..]),
            (&["Accept-Encoding"], &["Origin"], &["Accept-Encoding, Origin"]),
            (&["accept", "", "ORIGIN"], &["Origin", "Cookie"], &["accept, ORIGIN, Cookie"]),
            (&["*"], &["Origin"], &["*"]),
            (&["Origin", "Cookie"], &["Cookie", "Origin"], &["Origin", "Cookie"]),
        ] {
            let mut header: Header = before.iter().map(|value| ("Vary", value)).collect();
            add_to_vary(&mut header, names);
            assert_eq!(header.values("Vary").collect::<Vec<_>>(), after, "{before:?} and {names:?}");
        }
    }
}
