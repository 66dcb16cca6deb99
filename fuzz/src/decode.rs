//! Decoded content is what a slow decoder makes of it, however it is cut; and what is cut off is never whole.

use nethttp::fuzzing::decoded;

use crate::input::Input;
use crate::play::{coded::read, pieces::pieces, run};
use crate::reference::coding::{encoded, slowly_decoded};

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

/// A coding, what to do with it, the size of pieces, and content: encoded already, or to be encoded.
pub fn check(data: &[u8]) {
    let mut input = Input(data);
    let (coding, action, size) = (input.pick(&CODINGS), input.byte(), 1 + input.number());
    let decode = |content: &[u8], size| {
        let body = decoded(pieces(content, size), coding.as_bytes(), coding.as_bytes());
        run(read(body))
    };
    if action == b'd' {
        let at_once = decode(input.0, 0);
        for size in [1, size] {
            let (content, end) = decode(input.0, size);
            assert_eq!(end, at_once.1, "{coding} in pieces of {size}");
            assert!(end != Some(true) || content == at_once.0, "{coding} in pieces of {size}");
        }
        if at_once.1 == Some(true) && !input.0.is_empty() {
            assert!(slowly_decoded(coding, input.0).as_ref() == Some(&at_once.0), "{coding} is read as something else");
        }
        return;
    }
    // Letters from `e` on say how often the content is repeated.
    let content = input.0.repeat(1 << (action % 12));
    let coded = encoded(coding, &content);
    for size in [0, size] {
        assert!(decode(&coded, size) == (content.clone(), Some(true)), "{coding} does not come back");
    }
    let cut = 1 + usize::from(action) * size % coded.len().max(2);
    let is_cut = cut < coded.len();
    assert!(!is_cut || decode(&coded[..cut], size).1 == Some(false), "{coding}, cut at {cut}, passes for whole");
}
