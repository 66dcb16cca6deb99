//! The forms of a handler.
use nethttp::*;
fn takes(_h: impl Handler) {}
async fn hello(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.write(format!("hello, {}\n", r.path_value("name"))).await
}
#[test]
fn forms() {
    takes(hello);
    takes(async |w: &mut ResponseWriter, _: &mut Request| w.write("now").await);
    takes(std::sync::Arc::new(hello));
    takes(None);
    takes(handle_with(String::new(), async |s: &String, w: &mut ResponseWriter, _: &mut Request| w.write(s).await));
}
