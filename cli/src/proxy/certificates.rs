//! The certificates of the proxy: from files that are read again, or made now.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use nethttp::tls::{Certificate, TlsServerConfig};

use super::options::ProxyArguments;
use crate::tls::made_now;

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The TLS of these options; `None` where there is to be none.
pub(super) fn load(arguments: &ProxyArguments, addresses: &[String]) -> anyhow::Result<Option<TlsServerConfig>> {
    if arguments.self_signed {
        return Ok(Some(TlsServerConfig::new([made_now(addresses)?])?));
    }
    match certificates(arguments)? {
        none if none.is_empty() => Ok(None),
        some => Ok(Some(TlsServerConfig::new(some)?)),
    }
}

/// Reads the files again. The old certificates stay where that fails.
pub(super) fn reload(arguments: &ProxyArguments, tls: &TlsServerConfig) -> anyhow::Result<()> {
    if arguments.tls_cert.is_empty() {
        return Ok(());
    }
    Ok(tls.reload(certificates(arguments)?)?)
}

fn certificates(arguments: &ProxyArguments) -> anyhow::Result<Vec<Certificate>> {
    let pairs = arguments.tls_cert.iter().zip(&arguments.tls_key);
    pairs.map(|(certificate, key)| Ok(Certificate::from_pem_files(certificate, key)?)).collect()
}

/// Waits until a file has another time or length. Programs that renew certificates write two files, so a change is
/// told when the files have been as they are for one look more.
pub(super) async fn changed(arguments: &ProxyArguments) {
    let files: Vec<PathBuf> = arguments.tls_cert.iter().chain(&arguments.tls_key).cloned().collect();
    let first = state_of(&files).await;
    let mut last = first.clone();
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let now = state_of(&files).await;
        if now != first && now == last {
            return;
        }
        last = now;
    }
}

type FileState = Option<(SystemTime, u64)>;

async fn state_of(files: &[PathBuf]) -> Vec<FileState> {
    let mut states = Vec::with_capacity(files.len());
    for file in files {
        let found = tokio::fs::metadata(file).await.ok();
        states.push(found.and_then(|found| Some((found.modified().ok()?, found.len()))));
    }
    states
}
