//! Gets a URL, and prints the status, the fields and the text.
//!
//! ```sh
//! cargo run --example client -- https://example.com/
//! ```

use nethttp::{Client, Error, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).ok_or_else(|| Error::other("usage: client URL"))?;

    // Made once, and kept, because it holds the connections.
    let client = Client::new();
    let mut response = client.get(url).await?;

    println!("{:?} {}", response.proto, response.status);
    for (name, value) in response.header.iter() {
        println!("{name}: {}", String::from_utf8_lossy(value));
    }
    println!();
    // A status of 400 or above is a response as well. To get an error instead:
    // `client.get(url).await?.error_for_status()?`.
    print!("{}", response.text().await?);
    Ok(())
}
