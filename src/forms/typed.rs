//! A form read as a type of the program's own (feature `serde`).

use std::collections::HashSet;

use serde::de::DeserializeOwned;

use super::read::DEFAULT_MAX_FORM_MEMORY;
use crate::error::Result;
use crate::message::{FieldProblem, FieldTree, FormContent, Request, RequestPart, unsupported};

impl Request {
    /// The form as a type of your own (feature `serde`), read from text as
    /// [`query_as`](Request::query_as) reads it.
    ///
    /// It has the values in the content of a POST, PUT or PATCH request, which is an urlencoded or a
    /// multipart form, and those in the query whose names are not in the content: what was sent in both is
    /// the content's. A multipart form is read with
    /// [`DEFAULT_MAX_FORM_MEMORY`](crate::forms::DEFAULT_MAX_FORM_MEMORY), and its files can be asked for
    /// afterwards ([`form_file`](Request::form_file)). The content is read once and remembered, as with
    /// [`form`](Request::form).
    ///
    /// ```
    /// # use nethttp::{Request, ResponseWriter, Result};
    /// #[derive(serde::Deserialize)]
    /// struct SignUp {
    ///     name: String,
    ///     age: Option<u8>,
    ///     #[serde(default)]
    ///     newsletter: bool,
    /// }
    ///
    /// async fn sign_up(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     let form: SignUp = r.form_as().await?;
    ///     w.write(format!("welcome, {}\n", form.name)).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`query_as`](Request::query_as), [`form`](Request::form) and
    /// [`multipart_form`](Request::multipart_form); [`ErrorKind::Malformed`](crate::ErrorKind::Malformed)
    /// that responds with 415 for content of another type (RFC 9110 §15.5.16).
    pub async fn form_as<T: DeserializeOwned>(&mut self) -> Result<T> {
        match self.form_content()? {
            FormContent::Other => return Err(unsupported("the content is no form by its Content-Type")),
            FormContent::Parts => _ = self.multipart_form(DEFAULT_MAX_FORM_MEMORY).await?,
            FormContent::Pairs | FormContent::Nothing => {}
        }
        let mut form = self.post_form().await?;
        let query = self.query_form().whole()?;
        let names: HashSet<String> = form.iter().map(|(name, _)| name.to_owned()).collect();
        form.extend(query.into_iter().filter(|(name, _)| !names.contains(name)));
        T::deserialize(FieldTree::of_values(form))
            .map_err(|problem: FieldProblem| problem.into_error(RequestPart::Form))
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};
    use serde::Deserialize;

    use super::*;
    use crate::error::ErrorKind;
    use crate::message::Body;

    #[derive(Debug, Deserialize, PartialEq)]
    struct SignUp {
        name: String,
        age: Option<u8>,
        #[serde(default)]
        newsletter: bool,
        #[serde(default)]
        tag: Vec<String>,
    }

    fn request(method: Method, uri: &'static str, content_type: &str, content: impl Into<Body>) -> Request {
        let mut request = Request::new(method, Uri::from_static(uri), content);
        if !content_type.is_empty() {
            request.header.set("Content-Type", content_type);
        }
        request
    }

    const URLENCODED: &str = "application/x-www-form-urlencoded";

    #[tokio::test]
    async fn a_form_is_read_from_its_content_and_the_query_fills_in_what_is_not_there() {
        let mut request =
            request(Method::POST, "/?name=other&age=200&tag=q", URLENCODED, "name=Ann+B&newsletter=on&tag=a&tag=b");
        let form: SignUp = request.form_as().await.unwrap();
        let tag = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(form, SignUp { name: "Ann B".into(), age: Some(200), newsletter: true, tag });
        assert_eq!(request.form_as::<SignUp>().await.unwrap(), form, "it may be asked for again");
    }

    #[tokio::test]
    async fn a_request_without_content_has_the_form_of_its_query() {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let form: SignUp = request(method, "/?name=a&age=", "", "").form_as().await.unwrap();
            assert_eq!((form.name.as_str(), form.age, form.newsletter), ("a", None, false));
        }
    }

    #[tokio::test]
    async fn the_values_of_a_multipart_form_are_read_and_its_files_can_be_had_after() {
        let content = "--b\r\nContent-Disposition: form-data; name=name\r\n\r\nAnn\r\n\
                       --b\r\nContent-Disposition: form-data; name=f; filename=f.txt\r\n\r\nx\r\n--b--";
        let mut request = request(Method::POST, "/", "multipart/form-data; boundary=b", content);
        assert_eq!(request.form_as::<SignUp>().await.unwrap().name, "Ann");
        assert_eq!(request.form_file("f").await.unwrap().size, 1);
    }

    #[tokio::test]
    async fn what_is_wrong_is_a_400_that_names_the_field_and_another_type_is_415() {
        for (content_type, content, status, message) in [
            (URLENCODED, "name=a&age=x", 400, "`age` in the form is not a whole number from 0 to 255"),
            (URLENCODED, "age=1", 400, "`name` in the form is missing"),
            (URLENCODED, "name=a&name=b", 400, "`name` in the form is there more than once"),
            (URLENCODED, "name=a&newsletter=perhaps", 400, "`newsletter` in the form is not true or false"),
            ("application/json", "{}", 415, "the content is no form by its Content-Type"),
            ("", "name=a", 415, "the content is no form by its Content-Type"),
        ] {
            let mut request = request(Method::POST, "/", content_type, content);
            let error = request.form_as::<SignUp>().await.unwrap_err();
            assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Malformed, status), "{content}");
            assert_eq!(error.message(), message);
        }
    }
}
