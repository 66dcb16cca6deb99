//! The router.

/// Stub.
#[derive(Debug, Clone, Default)]
pub struct ServeMux;
impl ServeMux {
    /// Stub.
    pub fn new() -> ServeMux {
        ServeMux
    }
    /// Stub.
    pub fn handle(&self, _pattern: &str, _handler: impl crate::Handler) {}
}

/// Stub.
#[derive(Debug, Clone, Default)]
pub struct DefaultServeMux;

impl crate::Handler for Option<DefaultServeMux> {
    async fn serve_http(&self, _w: &mut crate::ResponseWriter, _r: &mut crate::Request) -> crate::Result<()> {
        Ok(())
    }
}
