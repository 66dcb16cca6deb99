//! HTTP/2 as a client speaks it: many exchanges on one connection.
