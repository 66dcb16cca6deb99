//! Connections that are kept, and who waits for one.
