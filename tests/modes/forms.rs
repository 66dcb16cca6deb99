//! Forms that a client sends with files in them, and what a server reads of them.

use nethttp::forms::{Form, FormPart};
use nethttp::{Method, Request, ResponseWriter, Result, ServeMux, StatusCode, redirect};

use crate::fake::pieces;
use crate::site::{Site, in_all_modes, whole};

const LICENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT");

/// What came: the length that was announced, the values, and each file with its name, type and length.
async fn received(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let announced = r.content_length.is_some();
    let form = r.multipart_form(1 << 20).await?;
    let mut said = format!("{announced} {}", form.values().encode());
    for (name, file) in form.all_files() {
        let content_type = file.header.get("Content-Type").unwrap_or_default();
        said += &format!(" {name}={}:{content_type}:{}", file.file_name, file.size);
    }
    w.write(said).await
}

/// Redirects once some of the content was read, so that the client has begun to send.
async fn redirected(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let _ = r.body.chunk().await?;
    let status = r.path_parse::<u16>("status")?;
    redirect(w, r, "/forms", StatusCode::from_u16(status)?).await
}

fn mux() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("POST /forms", received);
    mux.handle("POST /{status}", redirected);
    mux
}

fn photo() -> FormPart {
    FormPart::new("x".repeat(200_000)).with_file_name("beach \"1\".jpg")
}

#[tokio::test(start_paused = true)]
async fn values_and_files_arrive_with_their_names_types_and_length() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, mux());
        let form = Form::new().text("title", "Holidays & more").part("photo", photo());
        let form = form.file("manifest", LICENCE).await.unwrap();
        let length = std::fs::metadata(LICENCE).unwrap().len();
        let request = site.request(Method::POST, "/forms", "").with_multipart(form).unwrap();
        let (status, text) = whole(site.client.send(request).await).await;
        let photo = "photo=beach %221%22.jpg:image/jpeg:200000";
        let manifest = format!("manifest=LICENSE-MIT:application/octet-stream:{length}");
        assert_eq!((status, text), (200, format!("true title=Holidays+%26+more {photo} {manifest}")));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_form_survives_a_redirect_that_keeps_the_content_unless_a_stream_is_in_it() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, mux());
        for path in ["/307", "/308"] {
            let form = Form::new().part("photo", photo());
            let form = form.file("f", LICENCE).await.unwrap();
            let request = site.request(Method::POST, path, "").with_multipart(form).unwrap();
            let (status, text) = whole(site.client.send(request).await).await;
            assert!(status == 200 && text.contains(":200000") && text.contains("f=LICENSE-MIT"), "{path}: {text}");
        }
        let stream = pieces(&["one"]);
        let form = Form::new().part("s", FormPart::new(stream).with_file_name("s"));
        let request = site.request(Method::POST, "/307", "").with_multipart(form).unwrap();
        assert_eq!(site.client.send(request).await.unwrap().status, StatusCode::TEMPORARY_REDIRECT);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_form_with_a_stream_is_sent_without_a_length() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, mux());
        let stream = pieces(&["str", "eamed"]);
        let form = Form::new().text("a", "1").part("s", FormPart::new(stream).with_file_name("s.txt"));
        let request = site.request(Method::POST, "/forms", "").with_multipart(form).unwrap();
        let answered = whole(site.client.send(request).await).await;
        assert_eq!(answered, (200, "false a=1 s=s.txt:text/plain:8".to_owned()));
    })
    .await;
}
