//! A handler that holds what belongs to one thread while it waits.
//~ rustc: error: future cannot be sent between threads safely
//~ rustc: the trait `Send` is not implemented for `Rc<&str>`
//~ rustc: note: future is not `Send` as this value is used across an await
//~ rustc: await occurs here, with `text` maybe used later

use std::rc::Rc;

use nethttp::{Request, ResponseWriter, Result, ServeMux};

async fn hello(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    let text = Rc::new("hello");
    w.write(*text).await?;
    drop(text);
    Ok(())
}

fn main() {
    ServeMux::new().handle("/", hello);
}
