//! Which proxy a request goes through, and how a connection is made there.
