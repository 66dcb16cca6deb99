//! What is built on top of messages: redirects, cookies, files, codings, forms.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nethttp::cookie::Jar;
use nethttp::files::{Dir, FileServer};
use nethttp::{Cookie, Method, Request, ResponseWriter, Result, ServeMux, StatusCode};

use crate::site::{Site, in_all_modes, on_all_sites, whole};
use crate::support::echo;

#[tokio::test(start_paused = true)]
async fn redirects_are_followed_with_content_where_it_belongs() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let status =
            r.query("status").and_then(|status| status.parse().ok()).and_then(|s| StatusCode::from_u16(s).ok());
        if let Some(status) = status {
            return nethttp::redirect(w, r, "/end", status).await;
        }
        let content = r.body.text().await?;
        w.write(format!("{} {} {content}", r.method, r.path())).await
    };
    on_all_sites(handler, async |site| {
        for (status, seen) in
            [(301, "GET /end "), (302, "GET /end "), (303, "GET /end "), (307, "POST /end c"), (308, "POST /end c")]
        {
            let mut response = site.post(&format!("/?status={status}"), "c").await.unwrap();
            assert_eq!(response.text().await.unwrap(), seen, "{status}");
            assert_eq!(response.history().len(), 1);
            assert_eq!(response.url().unwrap().to_string(), site.url("/end"));
            assert!(response.is_reused());
        }
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_jar_keeps_cookies_and_secure_ones_only_over_tls() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/set" {
            nethttp::set_cookie(w.header(), &Cookie::new("a", "1"))?;
            nethttp::set_cookie(w.header(), &Cookie::new("b", "2"))?;
            let mut secure = Cookie::new("s", "3");
            secure.secure = true;
            nethttp::set_cookie(w.header(), &secure)?;
        }
        let names: Vec<String> = r.cookies().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        w.write(names.join(" ")).await
    };
    on_all_sites(handler, async |site| {
        let mut site = site;
        site.client.jar = Some(Arc::new(Jar::new()));
        assert_eq!(site.ask("/set").await.1, "");
        let expected = if site.mode.is_secure() { "a=1 b=2 s=3" } else { "a=1 b=2" };
        assert_eq!(site.ask("/").await.1, expected);
    })
    .await;
}

/// A folder that is there for as long as a test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("nethttp-modes-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only takes place.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn files_are_served_whole_in_ranges_on_conditions_and_compressed() {
    let folder = Folder::new();
    let text = "line of text\n".repeat(10_000);
    std::fs::write(folder.0.join("a.txt"), &text).unwrap();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(folder.0.join("large.bin"), &large).unwrap();
    let files = FileServer::new(Dir::new(&folder.0)).compressed(true);
    on_all_sites(files, async |site| {
        let mut response = site.get("/a.txt").await.unwrap();
        assert_eq!((response.header.get("Content-Encoding"), response.content_length), (None, None));
        assert_eq!(response.text().await.unwrap(), text, "it came compressed, and was decoded");

        let plain = site.request(Method::GET, "/a.txt", ()).with_header("Accept-Encoding", "gzip");
        let mut response = site.client.send(plain).await.unwrap();
        assert_eq!(response.header.get("Content-Encoding"), Some("gzip"), "the caller decodes himself");
        assert!(response.bytes().await.unwrap().len() < text.len() / 10);

        let mut response = site.get("/large.bin").await.unwrap();
        assert_eq!(response.content_length, Some(3_000_000));
        assert!(response.bytes().await.unwrap() == large);
        let tag = response.header.get("Last-Modified").unwrap().to_owned();

        let range = site.request(Method::GET, "/large.bin", ()).with_header("Range", "bytes=2000000-2499999");
        let mut response = site.client.send(range).await.unwrap();
        assert_eq!((response.status.as_u16(), response.content_length), (206, Some(500_000)));
        assert!(response.bytes().await.unwrap() == large[2_000_000..2_500_000]);

        let range = site.request(Method::GET, "/a.txt", ()).with_header("Range", "bytes=0-3,13-16");
        let (status, parts) = whole(site.client.send(range).await).await;
        assert_eq!((status, parts.matches("\r\n\r\nline").count()), (206, 2), "{parts}");

        let range = site.request(Method::GET, "/a.txt", ()).with_header("Range", "bytes=999999-");
        assert_eq!(site.client.send(range).await.unwrap().status.as_u16(), 416);

        let condition = site.request(Method::GET, "/large.bin", ()).with_header("If-Modified-Since", tag);
        assert_eq!(whole(site.client.send(condition).await).await, (304, String::new()));
        assert_eq!(site.client.head(&*site.url("/large.bin")).await.unwrap().content_length, Some(3_000_000));
        assert_eq!(site.ask("/none").await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn forms_and_files_arrive() {
    async fn form(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let form = r.form().await?;
        w.write(format!("{} {}", form.get("name").unwrap_or("-"), form.get("q").unwrap_or("-"))).await
    }
    async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let form = r.multipart_form(1000).await?;
        let file = form.file("file")?;
        let content = file.bytes(10 << 20).await?;
        let sum: u64 = content.iter().map(|&byte| u64::from(byte)).sum();
        w.write(format!("{} {} {sum}", form.values().get("name").unwrap_or("-"), file.file_name)).await
    }
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.handle("/form", form);
        mux.handle("/upload", upload);
        let site = Site::start(mode, mux);
        let sent = site.client.post_form(&*site.url("/form?q=x"), [("name", "a b&c")]).await;
        assert_eq!(whole(sent).await, (200, "a b&c x".into()));

        let mut content = b"--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nvalue\r\n\
            --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.bin\"\r\n\r\n"
            .to_vec();
        content.extend(std::iter::repeat_n(1, 2_000_000));
        content.extend_from_slice(b"\r\n--b--\r\n");
        let sent = site.client.post(&*site.url("/upload"), "multipart/form-data; boundary=b", content).await;
        assert_eq!(whole(sent).await, (200, "value f.bin 2000000".into()));
        let bad = site.client.post(&*site.url("/upload"), "multipart/form-data; boundary=b", "--b\r\n").await;
        assert_eq!(whole(bad).await.0, 400);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_can_be_sent_from_a_function_again_and_again() {
    on_all_sites(echo, async |site| {
        let make = || Ok(nethttp::Body::from("made anew"));
        let body = nethttp::Body::from_fn(make).unwrap();
        assert_eq!(whole(site.post("/", body).await).await, (200, "made anew".into()));
    })
    .await;
}
