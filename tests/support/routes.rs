//! What a server has for its peers in tests to ask for.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of it; what fails here fails its test")]

use nethttp::{Request, ResponseWriter, ServeMux, StatusCode, Version};

/// The length of `/large`.
pub(crate) const LARGE: u64 = 100_000_000;

pub(crate) fn routes() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("/proto", async |w: &mut ResponseWriter, r: &mut Request| w.write(proto(r.proto)).await);
    mux.handle("/echo", async |w: &mut ResponseWriter, r: &mut Request| {
        while let Some(chunk) = r.body.chunk().await? {
            w.write_bytes(chunk).await?;
        }
        Ok(())
    });
    mux.handle("/count", async |w: &mut ResponseWriter, r: &mut Request| {
        let mut length = 0;
        while let Some(chunk) = r.body.chunk().await? {
            length += chunk.len();
        }
        w.write(length.to_string()).await
    });
    mux.handle("/large", async |w: &mut ResponseWriter, _: &mut Request| {
        let chunk = nethttp::Bytes::from(vec![b'x'; 100_000]);
        for _ in 0..LARGE / 100_000 {
            w.write_bytes(chunk.clone()).await?;
        }
        Ok(())
    });
    mux.handle("/trailer", async |w: &mut ResponseWriter, r: &mut Request| {
        w.header().set("Trailer", "X-Sum");
        let length = r.body.bytes(1000).await?.len();
        let sent = r.body.trailer().and_then(|trailer| trailer.get("X-Check")).unwrap_or("none").to_owned();
        w.write(sent).await?;
        w.trailer().set("X-Sum", length.to_string());
        Ok(())
    });
    mux.handle("/ignore", async |w: &mut ResponseWriter, _: &mut Request| w.write("ignored").await);
    mux.handle("/refuse", async |_: &mut ResponseWriter, _: &mut Request| {
        Err(nethttp::Error::answer(StatusCode::PAYLOAD_TOO_LARGE, "too large"))
    });
    mux.handle("/hints", async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Link", "</a>");
        w.send_informational(StatusCode::EARLY_HINTS).await?;
        w.header().del("Link");
        w.write("done").await
    });
    mux.handle("/wait", async |_: &mut ResponseWriter, r: &mut Request| {
        r.context().cancelled().await;
        Ok(())
    });
    mux.handle("/abort", async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("partial").await?;
        w.flush().await?;
        nethttp::server::abort()
    });
    mux
}

pub(crate) fn proto(version: Version) -> String {
    format!("{version:?}")
}
