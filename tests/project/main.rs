//! What is held of the project itself: the shape of the crate, and the word of its documents.

mod layers;
mod parity;
