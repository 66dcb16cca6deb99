//! The content of a request as JSON, with errors that name the field.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{FieldTree, RequestPart, unsupported};
use crate::error::{Error, Result};
use crate::message::body::DEFAULT_MAX_TEXT_BYTES;
use crate::message::form::malformed;
use crate::message::request::Request;

/// Up to this length content that does not fit its type is read a second time, as a tree, to find the
/// field: a tree takes up to thirty times the memory of its text.
const MAX_EXAMINED_BYTES: usize = 64 << 10;

impl Request {
    /// The content read as JSON (feature `json`), of 10 MiB at most unless
    /// [`Body::limit`](crate::Body::limit) says another limit.
    ///
    /// Its `Content-Type` has to be `application/json`, or another that ends with `+json` (RFC 6839 §3.1):
    /// so no form of another site can send it, because for these types a browser asks first (CORS). To read
    /// JSON whatever it is called, there is [`Body::json`](crate::Body::json).
    ///
    /// ```
    /// # use nethttp::{Request, ResponseWriter, Result};
    /// #[derive(serde::Deserialize)]
    /// struct Order {
    ///     item: String,
    ///     count: u32,
    /// }
    ///
    /// async fn order(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     let order: Order = r.json().await?;
    ///     w.write(format!("{} {}\n", order.count, order.item)).await
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed): with 415 for another type of content or none
    /// (RFC 9110 §15.5.16); with 400 for what is not JSON, with line and column, or is nested more than 127
    /// deep; with 400 and the name of the field for what does not fit (in content of more than 64 KiB with
    /// its line and column instead). [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge), which
    /// becomes a 413; else as [`Body::chunk`](crate::Body::chunk).
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let content_type = self.content_type()?;
        if !content_type.is_some_and(|kind| is_json(&kind.value)) {
            return Err(unsupported("the content is not JSON by its Content-Type"));
        }
        let limit = if self.body.is_limited() { u64::MAX } else { DEFAULT_MAX_TEXT_BYTES };
        let bytes = self.body.bytes(limit).await?;
        serde_json::from_slice(&bytes).map_err(|error| explained::<T>(&bytes, error))
    }
}

/// A media type in lower case.
fn is_json(media_type: &str) -> bool {
    media_type == "application/json"
        || media_type.split_once('/').is_some_and(|(_, subtype)| subtype.ends_with("+json"))
}

/// What is wrong with content that could not be read as `T`, in words for the peer.
fn explained<T: DeserializeOwned>(bytes: &[u8], error: serde_json::Error) -> Error {
    if bytes.len() > MAX_EXAMINED_BYTES {
        return misplaced(error);
    }
    match serde_json::from_slice::<FieldTree>(bytes) {
        // What is no JSON further on is reported before what does not fit.
        Err(error) => misplaced(error),
        Ok(node) => match T::deserialize(node) {
            Err(problem) => problem.into_error(RequestPart::Json).with_source(error),
            Ok(_) => misplaced(error),
        },
    }
}

/// The place of an error in the text.
fn misplaced(error: serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let message = match error.classify() {
        Category::Eof => "the content is JSON that ends too early".to_owned(),
        Category::Data => format!("the JSON content is not what was expected, at line {line} and column {column}"),
        Category::Syntax | Category::Io => format!("the content is not JSON, at line {line} and column {column}"),
    };
    malformed(message).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::{Method, Uri};
    use serde::Deserialize;

    use super::*;
    use crate::error::ErrorKind;
    use crate::message::body::Body;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "what is read is not looked at where it is refused")]
    struct User {
        name: String,
        age: u8,
        #[serde(default)]
        tags: Vec<String>,
        home: Option<Home>,
        #[serde(default)]
        scores: BTreeMap<String, i32>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "as above")]
    struct Home {
        kind: Kind,
        point: (f64, f64),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Flat,
        House { floors: u8 },
    }

    async fn read<T: DeserializeOwned>(content_type: &str, content: impl Into<Body>) -> Result<T> {
        let mut request = Request::new(Method::POST, Uri::from_static("/"), content);
        if !content_type.is_empty() {
            request.header.set("Content-Type", content_type);
        }
        request.json().await
    }

    async fn refused(content: &str) -> String {
        let error = read::<User>("application/json", content.to_owned()).await.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Malformed, 400), "{content}");
        error.message().to_owned()
    }

    #[tokio::test]
    async fn content_is_json_by_its_type_or_415() {
        for content_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/problem+json", "a/b+JSON"]
        {
            assert_eq!(read::<Vec<u8>>(content_type, "[1,2]").await.unwrap(), [1, 2], "{content_type}");
        }
        for content_type in
            ["", "text/plain", "application/jsonp", "application/x-www-form-urlencoded", "json", "+json"]
        {
            let error = read::<Vec<u8>>(content_type, "[1,2]").await.unwrap_err();
            assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Malformed, 415), "{content_type}");
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_told_with_the_way_to_it_and_never_with_the_value() {
        for (content, message) in [
            (r#"{"name":"SECRET","age":300}"#, "`age` in the JSON content is not a whole number from 0 to 255"),
            (r#"{"name":"a","age":"SECRET"}"#, "`age` in the JSON content is not a whole number from 0 to 255"),
            (r#"{"name":"a"}"#, "`age` in the JSON content is missing"),
            (r#"{"name":"a","age":1,"age":2}"#, "`age` in the JSON content is there more than once"),
            (r#"{"name":7,"age":1}"#, "`name` in the JSON content is not text"),
            (r#"{"name":"a","age":1,"tags":["b",7]}"#, "`tags[1]` in the JSON content is not text"),
            (r#"{"name":"a","age":1,"tags":"SECRET"}"#, "`tags` in the JSON content is not a list"),
            (
                r#"{"name":"a","age":1,"scores":{"SECRET":1.5}}"#,
                "`scores.*` in the JSON content is not a whole number from -2147483648 to 2147483647",
            ),
            (
                r#"{"name":"a","age":1,"home":{"kind":"SECRET","point":[1,2]}}"#,
                "`home.kind` in the JSON content is not one of `flat`, `house`",
            ),
            (
                r#"{"name":"a","age":1,"home":{"kind":{"house":{"floors":-1}},"point":[1,2]}}"#,
                "`home.kind.floors` in the JSON content is not a whole number from 0 to 255",
            ),
            (
                r#"{"name":"a","age":1,"home":{"kind":"flat","point":[1,2,3]}}"#,
                "`home.point` in the JSON content is not a list of 2",
            ),
            (
                r#"{"name":"a","age":1,"home":{"kind":"flat","point":[1,true]}}"#,
                "`home.point[1]` in the JSON content is not a number",
            ),
            ("[]", "the JSON content is not an object"),
        ] {
            assert_eq!(refused(content).await, message, "{content}");
        }
    }

    #[tokio::test]
    async fn what_is_no_json_is_told_with_its_place() {
        assert_eq!(refused("").await, "the content is JSON that ends too early");
        assert_eq!(refused(r#"{"name":"#).await, "the content is JSON that ends too early");
        assert_eq!(refused("{\n \"name\": SECRET}").await, "the content is not JSON, at line 2 and column 10");
        assert_eq!(refused("{} SECRET").await, "the content is not JSON, at line 1 and column 4");
        let deep = "[".repeat(200) + &"]".repeat(200);
        let error = read::<serde_json::Value>("application/json", deep).await.unwrap_err();
        assert_eq!(error.status().unwrap(), 400);
        assert!(error.message().starts_with("the content is not JSON, at line 1"), "{error}");
    }

    #[tokio::test]
    async fn of_long_content_the_place_is_told_and_no_tree_is_made() {
        let long = format!(r#"{{"name":"{}","age":300}}"#, "x".repeat(MAX_EXAMINED_BYTES));
        assert!(refused(&long).await.starts_with("the JSON content is not what was expected, at line 1"));
    }

    #[tokio::test]
    async fn content_is_of_10_mib_at_most_unless_its_limit_is_another() {
        let long = format!("\"{}\"", "x".repeat(10 << 20));
        let error = read::<String>("application/json", long.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::BodyTooLarge, 413));
        let mut request =
            Request::new(Method::PUT, Uri::from_static("/"), long).with_header("Content-Type", "a/b+json");
        request.body.limit(11 << 20);
        assert_eq!(request.json::<String>().await.unwrap().len(), 10 << 20);
    }
}
