//! The static table (RFC 7541, appendix A).

use super::super::field_kind::FieldKind;
use crate::message::Known;

pub(super) struct StaticField {
    pub(super) name: &'static [u8],
    pub(super) value: &'static [u8],
    pub(super) kind: FieldKind,
}

/// The entry of this index. Indices begin at 1.
pub(super) fn entry(index: usize) -> Option<&'static StaticField> {
    STATIC_TABLE.get(index.checked_sub(1)?)
}

/// How many entries there are; those of the dynamic table are counted on from here (RFC 7541 §2.3.3).
pub(super) const STATIC_COUNT: usize = STATIC_TABLE.len();

/// The first index that has this name. Its length and its first letter leave at most three to compare
/// with; the letters of the name may have any case.
pub(super) fn index_of(name: &[u8]) -> Option<usize> {
    let candidates: &[u8] = match (name.len(), name.first()? | 0x20) {
        (3, b'a') => &[21],
        (3, b'v') => &[60],
        (4, b'd') => &[33],
        (4, b'e') => &[34],
        (4, b'f') => &[37],
        (4, b'h') => &[38],
        (4, b'l') => &[45],
        (4, b'v') => &[59],
        (5, b':') => &[4],
        (5, b'a') => &[22],
        (5, b'r') => &[50],
        (6, b'a') => &[19],
        (6, b'c') => &[32],
        (6, b'e') => &[35],
        (6, b's') => &[54],
        (7, b':') => &[2, 6, 8],
        (7, b'e') => &[36],
        (7, b'r') => &[51, 52],
        (8, b'i') => &[39, 42],
        (8, b'l') => &[46],
        (10, b':') => &[1],
        (10, b's') => &[55],
        (10, b'u') => &[58],
        (11, b'r') => &[53],
        (12, b'c') => &[31],
        (12, b'm') => &[47],
        (13, b'a') => &[18, 23],
        (13, b'c') => &[24, 30],
        (13, b'i') => &[41],
        (13, b'l') => &[44],
        (14, b'a') => &[15],
        (14, b'c') => &[28],
        (15, b'a') => &[16, 17],
        (16, b'c') => &[26, 27, 29],
        (16, b'w') => &[61],
        (17, b'i') => &[40],
        (17, b't') => &[57],
        (18, b'p') => &[48],
        (19, b'c') => &[25],
        (19, b'i') => &[43],
        (19, b'p') => &[49],
        (25, b's') => &[56],
        (27, b'a') => &[20],
        _ => return None,
    };
    let is_it = |index: &usize| entry(*index).is_some_and(|field| field.name.eq_ignore_ascii_case(name));
    candidates.iter().map(|&index| usize::from(index)).find(is_it)
}

/// The index of this status, where one has it (RFC 9110 §15).
pub(super) fn index_of_status(status: u16) -> Option<usize> {
    Some(match status {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => return None,
    })
}

static STATIC_TABLE: [StaticField; 61] = [
    field(b":authority", b"", FieldKind::Authority),
    field(b":method", b"GET", FieldKind::Method),
    field(b":method", b"POST", FieldKind::Method),
    field(b":path", b"/", FieldKind::Path),
    field(b":path", b"/index.html", FieldKind::Path),
    field(b":scheme", b"http", FieldKind::Scheme),
    field(b":scheme", b"https", FieldKind::Scheme),
    field(b":status", b"200", FieldKind::Status),
    field(b":status", b"204", FieldKind::Status),
    field(b":status", b"206", FieldKind::Status),
    field(b":status", b"304", FieldKind::Status),
    field(b":status", b"400", FieldKind::Status),
    field(b":status", b"404", FieldKind::Status),
    field(b":status", b"500", FieldKind::Status),
    field(b"accept-charset", b"", OTHER),
    field(b"accept-encoding", b"gzip, deflate", OTHER),
    field(b"accept-language", b"", OTHER),
    field(b"accept-ranges", b"", OTHER),
    field(b"accept", b"", OTHER),
    field(b"access-control-allow-origin", b"", OTHER),
    field(b"age", b"", OTHER),
    field(b"allow", b"", OTHER),
    field(b"authorization", b"", OTHER),
    field(b"cache-control", b"", FieldKind::Field(Known::CacheControl)),
    field(b"content-disposition", b"", OTHER),
    field(b"content-encoding", b"", FieldKind::Field(Known::ContentEncoding)),
    field(b"content-language", b"", OTHER),
    field(b"content-length", b"", FieldKind::Field(Known::ContentLength)),
    field(b"content-location", b"", OTHER),
    field(b"content-range", b"", OTHER),
    field(b"content-type", b"", FieldKind::Field(Known::ContentType)),
    field(b"cookie", b"", FieldKind::Cookie),
    field(b"date", b"", FieldKind::Field(Known::Date)),
    field(b"etag", b"", OTHER),
    field(b"expect", b"", FieldKind::Field(Known::Expect)),
    field(b"expires", b"", OTHER),
    field(b"from", b"", OTHER),
    field(b"host", b"", FieldKind::Field(Known::Host)),
    field(b"if-match", b"", OTHER),
    field(b"if-modified-since", b"", OTHER),
    field(b"if-none-match", b"", OTHER),
    field(b"if-range", b"", OTHER),
    field(b"if-unmodified-since", b"", OTHER),
    field(b"last-modified", b"", OTHER),
    field(b"link", b"", OTHER),
    field(b"location", b"", OTHER),
    field(b"max-forwards", b"", OTHER),
    field(b"proxy-authenticate", b"", OTHER),
    field(b"proxy-authorization", b"", OTHER),
    field(b"range", b"", OTHER),
    field(b"referer", b"", OTHER),
    field(b"refresh", b"", OTHER),
    field(b"retry-after", b"", OTHER),
    field(b"server", b"", OTHER),
    field(b"set-cookie", b"", OTHER),
    field(b"strict-transport-security", b"", OTHER),
    field(b"transfer-encoding", b"", FieldKind::ConnectionSpecific),
    field(b"user-agent", b"", OTHER),
    field(b"vary", b"", OTHER),
    field(b"via", b"", OTHER),
    field(b"www-authenticate", b"", OTHER),
];

const OTHER: FieldKind = FieldKind::Field(Known::Other);

const fn field(name: &'static [u8], value: &'static [u8], kind: FieldKind) -> StaticField {
    StaticField { name, value, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_the_kind_of_its_name_and_is_found_by_it() {
        for (nth, field) in STATIC_TABLE.iter().enumerate() {
            assert_eq!(field.kind, FieldKind::of(field.name), "{}", field.name.escape_ascii());
            let found = index_of(field.name).unwrap();
            assert_eq!(entry(found).unwrap().name, field.name);
            assert!(found <= nth + 1, "the first of a name is found");
            assert_eq!(index_of(&field.name.to_ascii_uppercase()), Some(found));
        }
        assert_eq!((index_of(b"x-other"), index_of(b""), index_of(b"dat")), (None, None, None));
        assert!(entry(0).is_none() && entry(61).is_some() && entry(62).is_none());
    }

    #[test]
    fn a_status_is_found_where_the_table_has_it() {
        for status in 100..=999 {
            let found = index_of_status(status).map(|index| entry(index).unwrap());
            let is_there = STATIC_TABLE.iter().any(|field| field.value == status.to_string().as_bytes());
            assert_eq!(found.map(|field| field.value), is_there.then_some(status.to_string().as_bytes()));
        }
    }
}
