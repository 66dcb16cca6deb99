//! A listener whose connections a test hands over.

use std::io;

use nethttp::net::{Addr, Listener};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) struct Handed<S>(pub(crate) UnboundedReceiver<S>);

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Listener for Handed<S> {
    type Stream = S;

    async fn accept(&mut self) -> io::Result<(S, Addr)> {
        let stream = self.0.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((stream, Addr::Named("peer".into())))
    }

    fn local_addr(&self) -> Addr {
        Addr::Named("memory".into())
    }
}
