//! HTTPS whose certificate is renewed while it serves: files that do not fit leave the one that works in place.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nethttp::tls::{Certificate, TlsServerConfig};
use nethttp::{Request, ResponseWriter, Result, Server};

async fn hello(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let tls = r.tls.as_ref();
    w.write(format!("hello over {:?}\n", tls.map(|tls| tls.version))).await
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|file| file.modified()).ok()
}

/// Looks at the file each minute, and never ends.
async fn renew(config: TlsServerConfig, certificate: PathBuf, key: PathBuf) {
    let mut last = modified(&certificate);
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let now = modified(&certificate);
        if now != last {
            match config.reload_pem_files(&certificate, &key) {
                Ok(()) => last = now,
                Err(error) => eprintln!("{}: {error}", certificate.display()),
            }
        }
    }
}

async fn run(addr: &str, certificate: PathBuf, key: PathBuf) -> Result<()> {
    let config = TlsServerConfig::new([Certificate::from_pem_files(&certificate, &key)?])?;
    let mut server = Server::new(hello);
    server.addr = addr.into();
    tokio::spawn(renew(config.clone(), certificate, key));
    server.listen_and_serve_tls(&config).await
}

// ------------------------------------------------------------ tried

#[tokio::test]
async fn a_pair_that_does_not_fit_is_an_error_before_anything_is_served() {
    let folder = std::env::temp_dir().join(format!("nethttp-renewal-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join("site.pem"), folder.join("site.key"));
    std::fs::write(&certificate, nethttp::testing::Server::certificate_pem()).unwrap();
    std::fs::write(&key, "no key").unwrap();
    let error = run("127.0.0.1:0", certificate.clone(), key).await.unwrap_err().to_string();
    assert!(error.contains("site.key"), "it says which file: {error}");
    assert!(modified(&certificate).is_some() && modified(Path::new("/nothing")).is_none());
    std::fs::remove_dir_all(folder).unwrap();
}
