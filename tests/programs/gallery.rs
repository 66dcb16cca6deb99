//! Photos with a title, uploaded as a form: the server that keeps them, and the client that sends them.

use std::path::{Path, PathBuf};

use nethttp::forms::Form;
use nethttp::middleware::BodyLimit;
use nethttp::{Client, Error, Handler as _, Json, Request, Result, ServeMux, StatusCode, respond_with};

struct Gallery {
    folder: PathBuf,
}

impl Gallery {
    async fn keep(&self, r: &mut Request) -> Result<(StatusCode, Json<Vec<String>>)> {
        let form = r.multipart_form(1 << 20).await?;
        let title = form.values().get("title").filter(|title| !title.is_empty());
        let title = title.ok_or_else(|| Error::answer(StatusCode::BAD_REQUEST, "a title is missing"))?;
        let mut kept = Vec::new();
        for (number, photo) in form.files("photo").enumerate() {
            if photo.header.get("Content-Type") != Some("image/jpeg") {
                return Err(Error::answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, "only JPEG is kept"));
            }
            // What the sender calls it is no path: the name is made here.
            let path = self.folder.join(format!("photo-{number}.jpg"));
            tokio::io::copy(&mut photo.open(), &mut tokio::fs::File::create(&path).await?).await?;
            kept.push(format!("{title}: {} with {} bytes", photo.file_name, photo.size));
        }
        Ok((StatusCode::CREATED, Json(kept)))
    }
}

fn service(folder: PathBuf) -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("POST /photos", respond_with(Gallery { folder }, Gallery::keep).wrapped_in(BodyLimit::new(8 << 20)));
    mux
}

async fn upload(client: &Client, url: &str, title: &str, photos: &[impl AsRef<Path>]) -> Result<Vec<String>> {
    let mut form = Form::new().text("title", title);
    for photo in photos {
        form = form.file("photo", photo).await?;
    }
    let request = Request::post(url, "")?.with_multipart(form)?;
    client.send(request).await?.error_for_status()?.json().await
}

// ------------------------------------------------------------ tried

#[tokio::test]
async fn photos_arrive_whole_and_what_is_wrong_has_its_status() {
    let folder = std::env::temp_dir().join(format!("nethttp-gallery-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (photo, large, other) = (folder.join("beach.jpg"), folder.join("large.jpg"), folder.join("notes.txt"));
    std::fs::write(&photo, "x".repeat(100_000)).unwrap();
    std::fs::write(&large, "x".repeat(9 << 20)).unwrap();
    std::fs::write(&other, "x").unwrap();
    let server = nethttp::testing::Server::in_memory(service(folder.clone()));
    let (client, url) = (server.client(), format!("{}/photos", server.url()));
    let kept = upload(&client, &url, "May", &[&photo, &photo]).await.unwrap();
    assert_eq!(kept, ["May: beach.jpg with 100000 bytes"; 2]);
    assert_eq!(std::fs::read(folder.join("photo-1.jpg")).unwrap().len(), 100_000);
    let status = async |title, photo: &PathBuf| upload(&client, &url, title, &[photo]).await.unwrap_err().status();
    assert_eq!(status("", &photo).await, Some(StatusCode::BAD_REQUEST));
    assert_eq!(status("May", &other).await, Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    assert_eq!(status("May", &large).await, Some(StatusCode::PAYLOAD_TOO_LARGE));
    std::fs::remove_dir_all(folder).unwrap();
}
