//! The command `nethttp`.
fn main() {}
