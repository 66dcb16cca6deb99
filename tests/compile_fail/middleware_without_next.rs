//! A middleware that lacks its third argument.
//~ rustc: error[E0593]: function is expected to take 3 arguments, but it takes 2 arguments
//~ rustc: expected function that takes 3 arguments
//~ rustc: to implement `Middleware`

use nethttp::{Request, ResponseWriter, Result, ServeMux};

async fn log(_: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    println!("{}", r.path());
    Ok(())
}

fn main() {
    ServeMux::new().wrap(log);
}
