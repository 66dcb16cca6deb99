//! What a peer sent, as a tree: the pairs of a query or a form, the wildcards of a path, and JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::message::form::Values;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FieldTree {
    /// The pairs of a query or a form: each name once, with all of its values.
    Pairs(Vec<(String, FieldTree)>),
    /// What the wildcards of a pattern matched, in order.
    Wildcards(Vec<(String, FieldTree)>),
    /// The values of one name: text, and at least one.
    Texts(Vec<String>),
    /// The rest is JSON.
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<FieldTree>),
    /// A name that is there twice is in it twice.
    Object(Vec<(String, FieldTree)>),
}

impl FieldTree {
    /// Sorted and not hashed: 10,000 names cost the same whatever they are.
    pub(crate) fn of_values(values: Values) -> FieldTree {
        let mut pairs = Vec::from_iter(values);
        // A stable sort: the values of a name keep their order.
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut grouped = Vec::<(String, Vec<String>)>::new();
        for (name, value) in pairs {
            match grouped.last_mut() {
                Some((last, values)) if *last == name => values.push(value),
                _ => grouped.push((name, vec![value])),
            }
        }
        FieldTree::Pairs(grouped.into_iter().map(|(name, values)| (name, FieldTree::Texts(values))).collect())
    }

    pub(crate) fn of_wildcards<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> FieldTree {
        let text = |value: &str| FieldTree::Texts(vec![value.to_owned()]);
        FieldTree::Wildcards(values.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect())
    }
}

/// As JSON has it.
impl<'de> Deserialize<'de> for FieldTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FieldTree, D::Error> {
        deserializer.deserialize_any(FieldTreeVisitor)
    }
}

struct FieldTreeVisitor;

impl<'de> Visitor<'de> for FieldTreeVisitor {
    type Value = FieldTree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<FieldTree, E> {
        Ok(FieldTree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<FieldTree, E> {
        Ok(FieldTree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<FieldTree, E> {
        Ok(FieldTree::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<FieldTree, E> {
        Ok(FieldTree::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<FieldTree, E> {
        Ok(FieldTree::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<FieldTree, E> {
        Ok(FieldTree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<FieldTree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(FieldTree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<FieldTree, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(FieldTree::Object(object))
    }
}
