//! Notes kept in memory: list, show, make, change and delete, as JSON.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use nethttp::{Error, Json, Request, Response, Result, ServeMux, StatusCode, respond_with};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Note {
    title: String,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Filter {
    tag: Option<String>,
    #[serde(default = "ten")]
    limit: usize,
}

fn ten() -> usize {
    10
}

#[derive(Default)]
struct Notes {
    notes: Mutex<BTreeMap<u64, Note>>,
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Note>> {
        self.notes.lock().expect("nobody panics while holding it")
    }

    async fn list(&self, r: &mut Request) -> Result<Json<Vec<Note>>> {
        let Filter { tag, limit } = r.query_as()?;
        let fits = |note: &&Note| tag.as_ref().is_none_or(|tag| note.tags.contains(tag));
        Ok(Json(self.lock().values().filter(fits).take(limit).cloned().collect()))
    }

    async fn show(&self, r: &mut Request) -> Result<Json<Note>> {
        let id: u64 = r.path_parse("id")?;
        self.lock().get(&id).cloned().map(Json).ok_or_else(no_such_note)
    }

    async fn make(&self, r: &mut Request) -> Result<Response> {
        let note: Note = r.json().await?;
        let mut notes = self.lock();
        let id = notes.last_key_value().map_or(1, |(last, _)| last + 1);
        notes.insert(id, note);
        Ok(Response::new(()).with_status(StatusCode::CREATED).with_header("Location", format!("/notes/{id}")))
    }

    async fn change(&self, r: &mut Request) -> Result<StatusCode> {
        let (id, note): (u64, Note) = (r.path_parse("id")?, r.json().await?);
        *self.lock().get_mut(&id).ok_or_else(no_such_note)? = note;
        Ok(StatusCode::NO_CONTENT)
    }

    async fn delete(&self, r: &mut Request) -> Result<StatusCode> {
        let id: u64 = r.path_parse("id")?;
        self.lock().remove(&id).map(|_| StatusCode::NO_CONTENT).ok_or_else(no_such_note)
    }
}

fn no_such_note() -> Error {
    Error::answer(StatusCode::NOT_FOUND, "there is no such note")
}

fn service() -> ServeMux {
    let (mux, notes) = (ServeMux::new(), Arc::new(Notes::default()));
    mux.handle("GET /notes", respond_with(notes.clone(), Notes::list));
    mux.handle("POST /notes", respond_with(notes.clone(), Notes::make));
    mux.handle("GET /notes/{id}", respond_with(notes.clone(), Notes::show));
    mux.handle("PUT /notes/{id}", respond_with(notes.clone(), Notes::change));
    mux.handle("DELETE /notes/{id}", respond_with(notes, Notes::delete));
    mux
}

// ------------------------------------------------------------ tried

#[tokio::test]
async fn a_note_is_made_shown_changed_listed_and_deleted() {
    use nethttp::testing::{record, request};
    let mux = service();
    let made = request("POST", "/notes").with_json(&serde_json::json!({"title": "one", "tags": ["a"]})).unwrap();
    let made = record(&mux, made).await;
    assert_eq!((made.status.as_u16(), made.header.get("Location")), (201, Some("/notes/1")));
    let changed = request("PUT", "/notes/1").with_json(&serde_json::json!({"title": "two", "tags": ["b"]})).unwrap();
    assert_eq!(record(&mux, changed).await.status.as_u16(), 204);
    assert_eq!(record(&mux, request("GET", "/notes/1")).await.text(), r#"{"title":"two","tags":["b"]}"#);
    assert_eq!(record(&mux, request("GET", "/notes?tag=a")).await.text(), "[]");
    let wrong = record(&mux, request("GET", "/notes?limit=many")).await;
    assert!(wrong.status == 400 && wrong.text().contains("limit"), "{}", wrong.text());
    assert_eq!(record(&mux, request("GET", "/notes/x")).await.status.as_u16(), 400);
    assert_eq!(record(&mux, request("DELETE", "/notes/1")).await.status.as_u16(), 204);
    assert_eq!(record(&mux, request("DELETE", "/notes/1")).await.status.as_u16(), 404);
    assert_eq!(record(&mux, request("PATCH", "/notes/1")).await.status.as_u16(), 405);
}
