//! Multipart content is read alike however it is cut and whatever is passed over, and a form holds what its parts were.

use crate::input::Input;
use crate::play::parts::{Reading, form, limits, read};
use crate::play::{pieces::pieces, run};

const BOUNDARIES: [&str; 6] = ["b", "--", "b b", "-", "B:'=?", "b------------------------------------------------b"];

/// A boundary, the limits, the size of pieces, and the content.
pub fn check(data: &[u8]) {
    let mut input = Input(data);
    let (boundary, is_tight, size) = (input.pick(&BOUNDARIES), input.pick(&[false, true]), 1 + input.number());
    let content = input.0;
    let bounds = limits(is_tight);
    run(async {
        let whole = read(pieces(content, 0), boundary, &bounds, Reading::Whole).await;
        for size in [1, 2, size] {
            let cut = read(pieces(content, size), boundary, &bounds, Reading::Whole).await;
            assert_eq!(cut, whole, "in pieces of {size}");
        }
        let skipping = read(pieces(content, size), boundary, &bounds, Reading::EverySecond).await;
        // What is wrong within content that is passed over is passed over with it.
        assert!(skipping.parts.len() >= whole.parts.len(), "parts were lost");
        assert!(
            whole.error.is_some() || skipping.has_as_many(&whole),
            "content that is passed over breaks what follows"
        );
        let plain = read(pieces(content, 0), boundary, &limits(false), Reading::Whole).await;
        let form = form(pieces(content, size), boundary, if is_tight { 5 } else { 1 << 20 }).await;
        let Some((values, files)) = form else { return };
        if plain.error.is_some() {
            return assert!(plain.ends_without_a_name(), "a form out of what is no multipart content");
        }
        assert_eq!((values, files), (plain.values(), plain.files()));
    });
}
