//! Text that becomes the URL of a request.
