//! A site for a browser application: files with caching, every other path is the application's, an API beside it.

use nethttp::files::{Dir, FileServer};
use nethttp::middleware::{Compression, ResponseFields, SecurityHeaders};
use nethttp::{Handler as _, Json, Request, ServeMux, respond, strip_prefix};

async fn version(_: &mut Request) -> Json<&'static str> {
    Json("1.0")
}

fn service(folder: &str) -> ServeMux {
    // What has a hash in its name never changes.
    let forever = ResponseFields::new().set("Cache-Control", "public, max-age=31536000, immutable");
    let assets = FileServer::new(Dir::new(format!("{folder}/assets"))).listings(false).precompressed(true);
    let pages = FileServer::new(Dir::new(folder)).listings(false).fallback_page("index.html");
    let mux = ServeMux::new();
    mux.handle("GET /api/version", respond(version));
    mux.handle("/api/", nethttp::middleware::not_found_handler());
    mux.handle("/assets/", strip_prefix("/assets", assets).wrapped_in(forever));
    mux.handle("/", pages.wrapped_in(ResponseFields::new().set("Cache-Control", "no-cache")));
    mux.wrap(SecurityHeaders::new().content_security_policy("default-src 'self'"));
    mux.wrap(Compression::new());
    mux
}

// ------------------------------------------------------------ tried

#[tokio::test]
async fn files_are_cached_and_every_other_path_is_the_applications() {
    use nethttp::testing::{record, request};
    let folder = std::env::temp_dir().join(format!("nethttp-site-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("assets")).unwrap();
    std::fs::write(folder.join("index.html"), "<!doctype html>the application").unwrap();
    std::fs::write(folder.join("assets/app.123.js"), "main()").unwrap();
    let mux = service(folder.to_str().unwrap());
    let ask = async |path: &str| {
        let recorded = record(&mux, request("GET", path)).await;
        let caching = recorded.header.get("Cache-Control").unwrap_or_default().to_owned();
        (recorded.status.as_u16(), recorded.text().to_owned(), caching)
    };
    let application = (200, "<!doctype html>the application".to_owned(), "no-cache".to_owned());
    assert_eq!(ask("/").await, application);
    assert_eq!(ask("/users/7/settings").await, application);
    let (status, script, caching) = ask("/assets/app.123.js").await;
    assert!(status == 200 && script == "main()" && caching.contains("immutable"));
    assert_eq!(ask("/assets/missing.js").await.0, 404);
    assert_eq!(ask("/api/version").await.1, "\"1.0\"");
    assert_eq!(ask("/api/nothing").await.0, 404);
    std::fs::remove_dir_all(folder).unwrap();
}
