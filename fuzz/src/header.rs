//! A header holds what a list of pairs would hold, whatever is done to it in whatever order.

use nethttp::Header;

use crate::reference::header::Model;

/// Each line is one operation: a letter, then `name=value`.
pub fn check(data: &[u8]) {
    let (mut header, mut model) = (Header::new(), Model::default());
    for line in data.split(|b| *b == b'\n').take(200) {
        let (action, pair) = line.split_first().unwrap_or((&b' ', b""));
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let (name, value) = (String::from_utf8_lossy(&pair[..at]), pair.get(at + 1..).unwrap_or_default());
        act(*action, &name, value, &mut header, &mut model);
        model.is(&header, &name, value);
    }
}

fn act(action: u8, name: &str, value: &[u8], header: &mut Header, model: &mut Model) {
    let set = |header: &mut Header| header.set(name, value);
    match action {
        b's' => (set(header), model.set(name, value)).0,
        // Often enough that unused bytes are compacted.
        b'r' => (0..=1500 / (value.len() + 1)).for_each(|_| (set(header), model.set(name, value)).0),
        b'd' => assert_eq!(header.del(name), model.del(name)),
        b'c' => (header.clear(), model.clear()).0,
        b'f' => *header = header.clone().iter().collect(),
        b'm' => {
            let back = Header::from(http::HeaderMap::from(header.clone()));
            assert!(back.iter().all(|(name, value)| header.values_bytes(name).any(|own| own == value)));
        }
        _ => (header.add(name, value), model.add(name, value)).0,
    }
}
