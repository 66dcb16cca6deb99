//! Connections to others: names become addresses, and addresses connections.
