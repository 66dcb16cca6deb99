//! A disk that is full while a form's file is written to it. A limit on the size of files stands in for
//! it: the system says `EFBIG` then, at the same place.

use std::sync::Arc;

use nethttp::server::ServerEvent;
use nethttp::{Request, ResponseWriter};
use tokio::sync::mpsc::unbounded_channel;

use crate::alone::{alone, descriptors, is_alone};
use crate::site::{MODES, Site};
use crate::support::settle;

#[test]
fn a_form_that_finds_the_disk_full_is_an_error_that_names_the_place_and_leaves_no_file() {
    // Without the signal that would end the process; the unit is 512 or 1024 bytes, by the shell.
    alone("disk::fill_the_disk_with_a_form", "trap '' XFSZ; ulimit -f 256;");
}

fn form(length: usize) -> String {
    let head = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\n";
    format!("{head}{}\r\n--b--\r\n", "x".repeat(length))
}

async fn length_of_form(w: &mut ResponseWriter, r: &mut Request) -> nethttp::Result<()> {
    let form = r.multipart_form(1000).await?;
    w.write(form.file("a")?.size.to_string()).await
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn fill_the_disk_with_a_form() {
    if !is_alone() {
        return;
    }
    let folder = std::env::temp_dir().to_string_lossy().into_owned();
    for mode in MODES {
        let (told, mut events) = unbounded_channel();
        let site = Site::with(
            mode,
            length_of_form,
            |server| server.on_event = Some(Arc::new(move |event: &ServerEvent| told.send(event.to_string()).unwrap())),
            |_| {},
        );
        let send = async |length| {
            let mut request = site.request(nethttp::Method::POST, "/", form(length));
            request.header.set("Content-Type", "multipart/form-data; boundary=b");
            let mut response = site.client.send(request).await.unwrap();
            (response.status.as_u16(), response.text().await.unwrap())
        };
        assert_eq!(send(100_000).await, (200, "100000".into()));
        settle().await;
        let open = descriptors();
        for _ in 0..3 {
            // The place is the server's affair, and no word of it goes to the peer.
            let (status, said) = send(1_000_000).await;
            assert!(status == 500 && !said.contains(&folder), "{status} {said}");
            let event = events.try_recv().unwrap();
            assert!(event.contains(&folder) && event.contains("File too large"), "{event}");
            assert_eq!(send(100_000).await, (200, "100000".into()));
        }
        settle().await;
        assert_eq!(descriptors(), open, "a file without a name is still open");
    }
}
