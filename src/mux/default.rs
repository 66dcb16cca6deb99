//! The mux of the process, for programs that are content with one.

use std::sync::LazyLock;

use super::ServeMux;
use crate::error::Result;
use crate::message::Request;
use crate::server::{Handler, HandlerFuture, ResponseWriter};

/// Stands for [`default_serve_mux`] where a handler is wanted (Go's nil handler): a server that is
/// given `None` serves it, for `None` can be no other option.
///
/// ```
/// use nethttp::{DefaultServeMux, Handler, Request, ResponseWriter};
///
/// fn serve(handler: impl Handler) { /* … */ }
///
/// nethttp::handle("/hello", async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await);
/// serve(None);
/// serve(DefaultServeMux);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultServeMux;

static DEFAULT: LazyLock<ServeMux> = LazyLock::new(ServeMux::new);

/// The mux that the whole process shares.
pub fn default_serve_mux() -> &'static ServeMux {
    &DEFAULT
}

/// Registers a handler with [`default_serve_mux`]; see [`ServeMux::handle`].
///
/// # Panics
/// As [`ServeMux::handle`].
#[track_caller]
pub fn handle(pattern: &str, handler: impl Handler) {
    default_serve_mux().handle(pattern, handler);
}

impl Handler for DefaultServeMux {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        default_serve_mux().serve_http(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        default_serve_mux().serve_http_boxed(w, r)
    }
}

impl Handler for Option<DefaultServeMux> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        DefaultServeMux.serve_http(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        default_serve_mux().serve_http_boxed(w, r)
    }
}
