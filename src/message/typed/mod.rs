//! Parts of a request read as types of the program's own (feature `serde`).
//!
//! What is wrong with them is the peer's fault: a 400 that names the field and what was expected. The
//! deserializer is our own for that, and because `serde_urlencoded` reads no lists, and neither it nor
//! `serde_html_form` knows the field of an error.

mod deserializer;
#[cfg(feature = "json")]
mod json;
mod problem;
mod tree;

use serde::de::DeserializeOwned;

pub(crate) use problem::{FieldProblem, RequestPart, unsupported};
pub(crate) use tree::FieldTree;

use super::request::Request;
use crate::error::Result;

impl Request {
    /// The query as a type of your own (feature `serde`): a struct with a field for each name, or a map.
    ///
    /// - Text becomes what the field asks for: numbers, `true`, `on` and `1` (`false`, `off` and `0`),
    ///   one character, the name of a variant of an enum without content.
    /// - A `Vec` takes all values of its name, in order; where there may be none, it needs
    ///   `#[serde(default)]`. A name that is there twice for anything else is an error.
    /// - An `Option` is `None` where the name is missing, and where its value is empty, as browsers send a
    ///   field that was not filled in.
    /// - Names without a field are passed over, unless the type says `deny_unknown_fields`.
    /// - Under `#[serde(flatten)]` and in untagged enums serde itself guesses types, and sees text: numbers
    ///   are not found there, and errors name no field.
    ///
    /// ```
    /// use nethttp::{Body, Method, Request, Uri};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Search {
    ///     q: String,
    ///     page: Option<u32>,
    ///     #[serde(default)]
    ///     tag: Vec<String>,
    /// }
    ///
    /// let get = |uri| Request::new(Method::GET, Uri::from_static(uri), Body::empty());
    /// let search: Search = get("/?q=fish&tag=sea&tag=fresh").query_as()?;
    /// assert_eq!((search.q.as_str(), search.page, search.tag.len()), ("fish", None, 2));
    ///
    /// let error = get("/?q=fish&page=two").query_as::<Search>().err().unwrap();
    /// assert_eq!(error.to_string(), "`page` in the query is not a whole number from 0 to 4294967295");
    /// assert_eq!(error.status().unwrap(), 400);
    /// # Ok::<(), nethttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), whose response is 400 with the name of the field
    /// and what was expected, and never with what came, but for the words of a type's own
    /// ([`serde::de::Error::custom`]), of which 120 characters are shown; for a query that
    /// [`Values::parse`](crate::forms::Values::parse) refuses too. [`ErrorKind::Invalid`](crate::ErrorKind::Invalid),
    /// which becomes a 500, where the type asks for what a query cannot have, a struct in a struct: that is the
    /// program's fault.
    pub fn query_as<T: DeserializeOwned>(&self) -> Result<T> {
        let values = self.query_form().whole()?;
        T::deserialize(FieldTree::of_values(values)).map_err(|problem| problem.into_error(RequestPart::Query))
    }

    /// What the mux matched for its wildcards, as a type of your own (feature `serde`): a struct with a
    /// field for each name, or a tuple in the order of the pattern. Text is read as
    /// [`query_as`](Request::query_as) reads it; [`path_parse`](Request::path_parse) is enough for one.
    ///
    /// ```
    /// # use nethttp::{Request, ResponseWriter, Result, ServeMux};
    /// #[derive(serde::Deserialize)]
    /// struct Place {
    ///     user: String,
    ///     post: u64,
    /// }
    ///
    /// async fn post(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     let place: Place = r.path_as()?;
    ///     w.write(format!("post {} of {}\n", place.post, place.user)).await
    /// }
    ///
    /// ServeMux::new().handle("GET /users/{user}/posts/{post}", post);
    /// ```
    ///
    /// # Errors
    /// As [`query_as`](Request::query_as); [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), which answers
    /// 500, for a field that is no wildcard of the pattern.
    pub fn path_as<T: DeserializeOwned>(&self) -> Result<T> {
        let values = self.path_values.iter().map(|(name, value)| (&**name, value.as_str()));
        T::deserialize(FieldTree::of_wildcards(values)).map_err(|problem| problem.into_error(RequestPart::Path))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::net::IpAddr;

    use http::{Method, Uri};
    use serde::Deserialize;

    use super::*;
    use crate::error::ErrorKind;
    use crate::message::body::Body;

    fn read<T: DeserializeOwned>(query: &str) -> Result<T> {
        Request::new(Method::GET, format!("/?{query}").parse::<Uri>().unwrap(), Body::empty()).query_as()
    }

    /// What is answered for a query that is wrong.
    fn refused<T: DeserializeOwned>(query: &str) -> String {
        let error = read::<T>(query).err().unwrap_or_else(|| panic!("{query} was taken"));
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Malformed, 400), "{query}");
        error.message().to_owned()
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Order {
        Newest,
        MostRead,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Wrapped(u16);

    #[derive(Debug, Deserialize, PartialEq)]
    struct Search {
        q: String,
        page: Option<u32>,
        order: Option<Order>,
        #[serde(default)]
        tag: Vec<String>,
        #[serde(default)]
        id: Vec<u8>,
        exact: Option<bool>,
        letter: Option<char>,
        near: Option<(f64, f64)>,
        from: Option<IpAddr>,
        wrapped: Option<Wrapped>,
        below: Option<i8>,
        #[serde(default = "ten", rename = "per-page")]
        per_page: u64,
    }

    fn ten() -> u64 {
        10
    }

    #[test]
    fn text_becomes_what_the_fields_ask_for() {
        let search: Search = read(
            "q=a+b&page=7&order=most-read&tag=x&exact=on&id=1&tag=y&id=255&letter=%C3%A9&near=1.5&near=-2&from=%3A%3A1\
             &wrapped=65535&below=-128&per-page=18446744073709551615&unknown=1&unknown=2",
        )
        .unwrap();
        let expected = Search {
            q: "a b".into(),
            page: Some(7),
            order: Some(Order::MostRead),
            tag: vec!["x".into(), "y".into()],
            id: vec![1, 255],
            exact: Some(true),
            letter: Some('\u{e9}'),
            near: Some((1.5, -2.0)),
            from: Some("::1".parse().unwrap()),
            wrapped: Some(Wrapped(65535)),
            below: Some(-128),
            per_page: u64::MAX,
        };
        assert_eq!(search, expected);
    }

    #[test]
    fn what_is_missing_or_empty_is_none_for_an_option_and_text_may_be_empty() {
        for query in ["q=", "q=&page=&order=&exact=&letter=&near=&from=&wrapped=&below="] {
            let search: Search = read(query).unwrap();
            assert_eq!(
                (search.q.as_str(), search.page, search.order, search.per_page),
                ("", None, None, 10),
                "{query}"
            );
            assert_eq!((search.exact, search.letter, search.near, search.tag.len()), (None, None, None, 0), "{query}");
        }
    }

    #[test]
    fn what_is_wrong_is_a_400_that_names_the_field_and_not_the_value() {
        for (query, message) in [
            ("page=1", "`q` in the query is missing"),
            ("q=1&q=2", "`q` in the query is there more than once"),
            ("q=&page=SECRET", "`page` in the query is not a whole number from 0 to 4294967295"),
            ("q=&page=4294967296", "`page` in the query is not a whole number from 0 to 4294967295"),
            ("q=&page=-1", "`page` in the query is not a whole number from 0 to 4294967295"),
            ("q=&page=1&page=2", "`page` in the query is there more than once"),
            ("q=&below=128", "`below` in the query is not a whole number from -128 to 127"),
            ("q=&order=SECRET", "`order` in the query is not one of `newest`, `most-read`"),
            ("q=&exact=SECRET", "`exact` in the query is not true or false"),
            ("q=&letter=ab", "`letter` in the query is not one character"),
            ("q=&id=1&id=256", "`id[1]` in the query is not a whole number from 0 to 255"),
            ("q=&near=1", "`near` in the query is not a list of 2"),
            ("q=&near=1&near=2&near=3", "`near` in the query is not a list of 2"),
            ("q=&near=1&near=nan", "`near[1]` in the query is not a number"),
            ("q=&from=SECRET", "`from` in the query is refused: invalid IP address syntax"),
        ] {
            assert_eq!(refused::<Search>(query), message, "{query}");
        }
        refused::<Search>("q=%ff");
        refused::<Search>("q=1;2");
    }

    #[test]
    fn the_words_of_a_type_are_told_up_to_120_characters() {
        #[derive(Debug, Deserialize)]
        #[serde(try_from = "String")]
        struct Never;

        impl TryFrom<String> for Never {
            type Error = String;

            fn try_from(text: String) -> Result<Never, String> {
                Err(format!("no\n{text}"))
            }
        }

        #[derive(Debug, Deserialize)]
        struct Holder {
            #[allow(dead_code, reason = "it is never there")]
            a: Never,
        }

        assert_eq!(refused::<Holder>("a=b"), "`a` in the query is refused: no\\nb");
        let long = refused::<Holder>(&format!("a={}", "x".repeat(1000)));
        assert_eq!(long, format!("`a` in the query is refused: no\\n{}…", "x".repeat(117)));
    }

    #[test]
    fn unknown_names_are_passed_over_unless_the_type_denies_them() {
        #[derive(Debug, Deserialize, PartialEq)]
        #[serde(deny_unknown_fields)]
        struct Strict {
            a: u8,
        }
        assert_eq!(read::<Strict>("a=1").unwrap(), Strict { a: 1 });
        assert_eq!(refused::<Strict>("a=1&SECRET=2"), "the query has a field that is not `a`");
    }

    #[test]
    fn a_map_has_each_name_once_with_all_of_its_values() {
        let values: HashMap<String, Vec<String>> = read("a=1&b=2&a=3").unwrap();
        assert_eq!((values["a"].len(), values["b"].len()), (2, 1));
        let numbers: BTreeMap<u8, u8> = read("1=10&2=20").unwrap();
        assert_eq!(numbers, BTreeMap::from([(1, 10), (2, 20)]));
        assert_eq!(refused::<BTreeMap<String, u8>>("SECRET=x"), "`*` in the query is not a whole number from 0 to 255");
        assert_eq!(refused::<BTreeMap<String, String>>("a=1&a=2"), "`*` in the query is there more than once");
    }

    #[test]
    fn flattened_fields_are_text() {
        #[derive(Debug, Deserialize)]
        struct Outer {
            a: u8,
            #[serde(flatten)]
            rest: HashMap<String, String>,
        }
        let outer: Outer = read("a=1&b=2&c=3").unwrap();
        assert_eq!((outer.a, outer.rest.len(), outer.rest["b"].as_str()), (1, 2, "2"));
    }

    #[test]
    fn what_no_query_can_have_is_the_programs_fault() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "it is never read")]
        struct Inner {
            b: u8,
        }
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "it is never read")]
        struct Nested {
            a: Inner,
        }
        let error = read::<Nested>("a=1").unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, None));
        assert_eq!(error.to_string(), "`a` in the query cannot be read: a value is text, and has no fields of its own");
        assert_eq!(read::<Vec<String>>("a=1").unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn ten_thousand_values_of_one_name_and_of_as_many_are_read() {
        let one = vec!["a=1"; 10_000].join("&");
        assert_eq!(read::<HashMap<String, Vec<u8>>>(&one).unwrap()["a"].len(), 10_000);
        let many: Vec<String> = (0..10_000).map(|n| format!("{n}=")).collect();
        assert_eq!(read::<HashMap<u32, String>>(&many.join("&")).unwrap().len(), 10_000);
    }

    #[test]
    fn wildcards_are_read_by_name_or_in_order() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Place {
            post: u64,
            user: String,
        }
        let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
        request.set_path_value("user", "ann");
        request.set_path_value("post", "7");
        assert_eq!(request.path_as::<Place>().unwrap(), Place { post: 7, user: "ann".into() });
        assert_eq!(request.path_as::<(String, u8)>().unwrap(), ("ann".into(), 7));
        let error = request.path_as::<(u8, u8)>().unwrap_err();
        assert_eq!(error.to_string(), "`[0]` in the path is not a whole number from 0 to 255");
        request.set_path_value("post", "x");
        let error = request.path_as::<Place>().unwrap_err();
        assert_eq!(error.to_string(), "`post` in the path is not a whole number from 0 to 18446744073709551615");
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Malformed, 400));
    }

    #[test]
    fn a_field_that_is_no_wildcard_is_the_programs_fault() {
        #[derive(Debug, Deserialize)]
        struct Place {
            #[allow(dead_code, reason = "it is never there")]
            id: u64,
        }
        let request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
        let error = request.path_as::<Place>().unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, None));
        assert_eq!(error.to_string(), "`id` in the path is no wildcard of the pattern");
    }
}
