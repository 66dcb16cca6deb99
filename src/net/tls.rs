//! TLS sessions, accepted and made.
