//! Content that is read through a decoder.

use nethttp::{Body, ErrorKind};

/// More is not read of what may decode to anything.
const MAX_DECODED_BYTES: usize = 4 << 20;

/// The content, and whether its end was reached: `None` where it goes on.
pub async fn read(mut body: Body) -> (Vec<u8>, Option<bool>) {
    let mut content = Vec::new();
    while content.len() < MAX_DECODED_BYTES {
        match body.chunk().await {
            Ok(Some(chunk)) => {
                assert!((1..=64 * 1024).contains(&chunk.len()), "a chunk of {} bytes", chunk.len());
                content.extend_from_slice(&chunk);
            }
            Ok(None) => return (content, Some(true)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Decode);
                assert!(body.chunk().await.is_err(), "an error is not the last word");
                return (content, Some(false));
            }
        }
    }
    content.truncate(MAX_DECODED_BYTES);
    (content, None)
}
