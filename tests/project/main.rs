//! What is held of the project itself: the shape of the crate, and the word of its documents.

mod circles;
#[cfg(feature = "server")]
mod compile_fail;
mod layers;
mod names;
mod pages;
mod parity;
mod public_api;
mod rust;
