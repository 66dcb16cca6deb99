//! What is held of the project itself: the shape of the crate, and the word of its documents.

mod circles;
mod layers;
mod names;
mod pages;
mod parity;
mod public_api;
mod rust;
