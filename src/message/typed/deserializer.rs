//! Types of the program out of a [`FieldTree`]: text becomes what the type asks for, and an error knows the field.

use std::str::FromStr;

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::problem::FieldProblem;
use super::tree::FieldTree;

const A_LIST: &str = "a list";
const A_NAME: &str = "the name of a variant";
const AN_OBJECT: &str = "an object";
const A_NUMBER: &str = "a number";
const A_TEXT: &str = "text";

const NO_FIELDS: &str = "a value is text, and has no fields of its own";
const NO_ORDER: &str = "its pairs have names, and make no list";

type ReadResult<T> = Result<T, FieldProblem>;

impl FieldTree {
    /// The text of a value that must be there once.
    fn into_text(self) -> ReadResult<String> {
        match self {
            FieldTree::Text(text) => Ok(text),
            FieldTree::Texts(texts) => once(texts),
            _ => Err(FieldProblem::not(A_TEXT)),
        }
    }

    /// A value of a query, a form or a path that means this; `None` for all of JSON.
    fn parsed<T: FromStr>(&self) -> ReadResult<Option<T>> {
        match self {
            FieldTree::Texts(texts) => match texts.as_slice() {
                [text] => Ok(text.parse().ok()),
                _ => Err(FieldProblem::twice()),
            },
            _ => Ok(None),
        }
    }

    /// Browsers send fields that were left empty, with nothing as their value.
    fn is_nothing(&self) -> bool {
        match self {
            FieldTree::Null => true,
            FieldTree::Texts(texts) => matches!(texts.as_slice(), [text] if text.is_empty()),
            _ => false,
        }
    }
}

fn once(texts: Vec<String>) -> ReadResult<String> {
    let mut texts = texts.into_iter();
    match (texts.next(), texts.next()) {
        (Some(text), None) => Ok(text),
        _ => Err(FieldProblem::twice()),
    }
}

/// What the words for a checkbox and a switch mean.
fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "on" | "1" => Some(true),
        "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $number:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
            let number = match &self {
                FieldTree::Unsigned(number) => <$number>::try_from(*number).ok(),
                FieldTree::Signed(number) => <$number>::try_from(*number).ok(),
                other => other.parsed()?,
            };
            match number {
                Some(number) => visitor.$visit(number),
                None => {
                    let (least, most) = (<$number>::MIN, <$number>::MAX);
                    Err(FieldProblem::not(format!("a whole number from {least} to {most}")))
                }
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for FieldTree {
    type Error = FieldProblem;

    whole_numbers! {
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        let number = match &self {
            FieldTree::Unsigned(number) => return visitor.visit_u64(*number),
            FieldTree::Signed(number) => return visitor.visit_i64(*number),
            FieldTree::Float(number) => Some(*number),
            // Words are no numbers: `nan` compares with nothing, and JSON has neither it nor `inf`.
            other => other.parsed::<f64>()?.filter(|number| number.is_finite()),
        };
        visitor.visit_f64(number.ok_or_else(|| FieldProblem::not(A_NUMBER))?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        let truth = match self {
            FieldTree::Bool(truth) => Some(truth),
            FieldTree::Texts(texts) => truth(&once(texts)?),
            _ => None,
        };
        visitor.visit_bool(truth.ok_or_else(|| FieldProblem::not("true or false"))?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        let text = self.into_text().ok();
        let character = text.and_then(|text| text.parse().ok());
        visitor.visit_char(character.ok_or_else(|| FieldProblem::not("one character"))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        visitor.visit_string(self.into_text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        match self {
            FieldTree::List(_) => self.deserialize_seq(visitor),
            other => visitor.visit_byte_buf(other.into_text()?.into_bytes()),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        if self.is_nothing() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        if self.is_nothing() { visitor.visit_unit() } else { Err(FieldProblem::not("nothing")) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> ReadResult<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> ReadResult<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        let items = match self {
            FieldTree::List(items) => items,
            FieldTree::Texts(texts) => texts.into_iter().map(|text| FieldTree::Texts(vec![text])).collect(),
            FieldTree::Wildcards(values) => values.into_iter().map(|(_, value)| value).collect(),
            FieldTree::Pairs(_) => return Err(FieldProblem::unreadable(NO_ORDER)),
            _ => return Err(FieldProblem::not(A_LIST)),
        };
        visitor.visit_seq(ListItems { items: items.into_iter(), next: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> ReadResult<V::Value> {
        let has = match &self {
            FieldTree::List(items) => items.len(),
            FieldTree::Texts(texts) => texts.len(),
            FieldTree::Wildcards(values) => values.len(),
            _ => return self.deserialize_seq(visitor),
        };
        if has == count { self.deserialize_seq(visitor) } else { Err(FieldProblem::not(format!("a list of {count}"))) }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> ReadResult<V::Value> {
        self.deserialize_tuple(count, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> ReadResult<V::Value> {
        match self {
            FieldTree::Object(entries) | FieldTree::Pairs(entries) | FieldTree::Wildcards(entries) => {
                visitor.visit_map(ObjectEntries { entries: entries.into_iter(), value: None, fields })
            }
            FieldTree::Texts(_) => Err(FieldProblem::unreadable(NO_FIELDS)),
            _ => Err(FieldProblem::not(AN_OBJECT)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> ReadResult<V::Value> {
        let (name, content) = match self {
            FieldTree::Object(entries) => {
                let mut entries = entries.into_iter();
                match (entries.next(), entries.next()) {
                    (Some((name, content)), None) => (name, content),
                    _ => return Err(FieldProblem::not("an object of one variant")),
                }
            }
            FieldTree::Texts(texts) => (once(texts)?, FieldTree::Null),
            FieldTree::Text(text) => (text, FieldTree::Null),
            FieldTree::Pairs(_) | FieldTree::Wildcards(_) => return Err(FieldProblem::unreadable(NO_ORDER)),
            _ => return Err(FieldProblem::not(A_NAME)),
        };
        visitor.visit_enum(NamedVariant { name, content })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> ReadResult<V::Value> {
        match self {
            FieldTree::Null => visitor.visit_unit(),
            FieldTree::Bool(truth) => visitor.visit_bool(truth),
            FieldTree::Unsigned(number) => visitor.visit_u64(number),
            FieldTree::Signed(number) => visitor.visit_i64(number),
            FieldTree::Float(number) => visitor.visit_f64(number),
            FieldTree::Text(text) => visitor.visit_string(text),
            FieldTree::Texts(texts) if texts.len() == 1 => visitor.visit_string(once(texts)?),
            FieldTree::Texts(_) | FieldTree::List(_) => self.deserialize_seq(visitor),
            FieldTree::Object(_) | FieldTree::Pairs(_) | FieldTree::Wildcards(_) => self.deserialize_map(visitor),
        }
    }
}

struct ListItems {
    items: std::vec::IntoIter<FieldTree>,
    next: usize,
}

impl<'de> SeqAccess<'de> for ListItems {
    type Error = FieldProblem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> ReadResult<Option<T::Value>> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.next;
        self.next = index.saturating_add(1);
        seed.deserialize(item).map(Some).map_err(|problem| problem.at(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct ObjectEntries {
    entries: std::vec::IntoIter<(String, FieldTree)>,
    /// The value of the name that was asked for last.
    value: Option<(Option<&'static str>, FieldTree)>,
    fields: &'static [&'static str],
}

impl<'de> MapAccess<'de> for ObjectEntries {
    type Error = FieldProblem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> ReadResult<Option<K::Value>> {
        let Some((name, value)) = self.entries.next() else { return Ok(None) };
        let field = self.fields.iter().find(|field| **field == name).copied();
        self.value = Some((field, value));
        // As a node of its own: the keys of a map may be numbers.
        seed.deserialize(FieldTree::Texts(vec![name])).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> ReadResult<V::Value> {
        let (field, value) = self.value.take().unwrap_or((None, FieldTree::Null));
        seed.deserialize(value).map_err(|problem| match field {
            Some(field) => problem.within(field),
            None => problem.within_entry(),
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

struct NamedVariant {
    name: String,
    content: FieldTree,
}

impl<'de> EnumAccess<'de> for NamedVariant {
    type Error = FieldProblem;
    type Variant = FieldTree;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> ReadResult<(V::Value, FieldTree)> {
        let name: StringDeserializer<FieldProblem> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.content))
    }
}

/// The content of a variant; that of one that was only named is null.
impl<'de> VariantAccess<'de> for FieldTree {
    type Error = FieldProblem;

    fn unit_variant(self) -> ReadResult<()> {
        if self.is_nothing() { Ok(()) } else { Err(FieldProblem::not("a variant without content")) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> ReadResult<T::Value> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> ReadResult<V::Value> {
        self.deserialize_tuple(count, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> ReadResult<V::Value> {
        self.deserialize_struct("", fields, visitor)
    }
}
