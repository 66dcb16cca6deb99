//! A handler that holds the guard of a lock while it waits.
//~ rustc: error: future cannot be sent between threads safely
//~ rustc: the trait `Send` is not implemented for `std::sync::MutexGuard<'_, u32>`
//~ rustc: await occurs here, with `mut visits` maybe used later

use std::sync::Mutex;

use nethttp::{Request, ResponseWriter, Result, ServeMux, handle_with};

async fn count(visits: &Mutex<u32>, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    let mut visits = visits.lock().unwrap();
    *visits += 1;
    w.write(visits.to_string()).await
}

fn main() {
    ServeMux::new().handle("/", handle_with(Mutex::new(0), count));
}
