//! Streams a URL into a file, and shows the progress. The content is never in memory as a whole.
//!
//! ```sh
//! cargo run --example download -- https://example.com/large.iso large.iso
//! ```
//!
//! The command `nethttp get` does more: it resumes, retries, and renames the file when it is whole.

use std::time::Duration;

use nethttp::{Client, Error, Result, Transport};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("usage: download URL FILE"));
    };

    let mut transport = Transport::new();
    // No limit on the whole transfer, which may take long, but on the time without progress.
    transport.stall_timeout = Duration::from_secs(30);
    let client = Client::with_transport(transport);

    let mut response = client.get(url).await?.error_for_status()?;
    // `None` where the server does not announce it, or where the content came compressed.
    let length = response.content_length;
    let mut file = File::create(&path).await?;
    let (mut written, mut told) = (0_u64, 0);
    while let Some(chunk) = response.body.chunk().await? {
        file.write_all(&chunk).await?;
        written += chunk.len() as u64;
        let percent = length.map_or(0, |length| written * 100 / length.max(1));
        if percent >= told + 10 {
            told = percent;
            eprintln!("{percent} %");
        }
    }
    // The content is complete here: `chunk` fails if it is cut off.
    file.flush().await?;
    println!("{written} bytes in {path}");
    Ok(())
}
