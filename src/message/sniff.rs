//! The media type of content, found from its first bytes.
//!
//! The rules are those of the WHATWG's MIME Sniffing standard (§7 and its tables), in the reading
//! that Go gives them. Only beginnings are looked at: nothing is parsed, and no input costs more
//! than a look at its first 512 bytes.

/// How much of the content is looked at.
const SNIFFED_BYTES: usize = 512;

/// The media type of content that begins with `data`, of which 512 bytes are looked at (Go's
/// `DetectContentType`).
///
/// Knows HTML and XML (white space before them is passed over), PDF and PostScript, the usual images,
/// sounds, films, fonts and archives, WebAssembly, and byte order marks. Anything else is `text/plain;
/// charset=utf-8` where it has no byte that no text has, and `application/octet-stream` otherwise; so
/// the result is always a valid media type. Empty content is text; a server sends no `Content-Type`
/// with it.
///
/// What a stranger uploaded can be made to look like HTML: set `Content-Type` and
/// `X-Content-Type-Options: nosniff` yourself when you serve such content.
///
/// ```
/// use nethttp::body::detect_content_type;
///
/// assert_eq!(detect_content_type(b"  <html><body>hello"), "text/html; charset=utf-8");
/// assert_eq!(detect_content_type(b"\x89PNG\r\n\x1a\n"), "image/png");
/// assert_eq!(detect_content_type(b"hello"), "text/plain; charset=utf-8");
/// assert_eq!(detect_content_type(b"\0\x01\x02\x03"), "application/octet-stream");
/// ```
pub fn detect_content_type(data: &[u8]) -> &'static str {
    let data = data.get(..SNIFFED_BYTES).unwrap_or(data);
    markup(data.trim_ascii_start())
        .or_else(|| find(DOCUMENTS, data))
        .or_else(|| find(IMAGES, data))
        .or_else(|| find(SOUND_AND_FILM, data))
        .or_else(|| is_mp4(data).then_some("video/mp4"))
        .or_else(|| find(FONTS, data))
        .or_else(|| find(ARCHIVES, data))
        .unwrap_or(if data.iter().any(|&b| is_binary(b)) { "application/octet-stream" } else { TEXT })
}

const TEXT: &str = "text/plain; charset=utf-8";

/// HTML and XML, by their first tag.
fn markup(text: &[u8]) -> Option<&'static str> {
    if HTML_TAGS.iter().any(|tag| begins_with_tag(text, tag)) {
        return Some("text/html; charset=utf-8");
    }
    text.starts_with(b"<?xml").then_some("text/xml; charset=utf-8")
}

/// Letters of either case, and then the tag has to end: `<bold>` is not `<b>`.
fn begins_with_tag(text: &[u8], tag: &[u8]) -> bool {
    let Some((start, rest)) = text.split_at_checked(tag.len()) else { return false };
    start.eq_ignore_ascii_case(tag) && matches!(rest.first(), Some(b' ' | b'>'))
}

const HTML_TAGS: [&[u8]; 17] = [
    b"<!DOCTYPE HTML",
    b"<HTML",
    b"<HEAD",
    b"<SCRIPT",
    b"<IFRAME",
    b"<H1",
    b"<DIV",
    b"<FONT",
    b"<TABLE",
    b"<A",
    b"<STYLE",
    b"<TITLE",
    b"<B",
    b"<BODY",
    b"<BR",
    b"<P",
    b"<!--",
];

/// A media type, and the bytes that its content has at fixed offsets. An empty piece only requires the
/// content to be that long.
type Signature = (&'static str, &'static [(usize, &'static [u8])]);

const DOCUMENTS: &[Signature] = &[
    ("application/pdf", &[(0, b"%PDF-")]),
    ("application/postscript", &[(0, b"%!PS-Adobe-")]),
    // A byte order mark counts only where content follows it.
    ("text/plain; charset=utf-16be", &[(0, b"\xFE\xFF"), (4, b"")]),
    ("text/plain; charset=utf-16le", &[(0, b"\xFF\xFE"), (4, b"")]),
    (TEXT, &[(0, b"\xEF\xBB\xBF"), (4, b"")]),
];

const IMAGES: &[Signature] = &[
    ("image/x-icon", &[(0, b"\0\0\x01\0")]),
    ("image/x-icon", &[(0, b"\0\0\x02\0")]),
    ("image/bmp", &[(0, b"BM")]),
    ("image/gif", &[(0, b"GIF87a")]),
    ("image/gif", &[(0, b"GIF89a")]),
    ("image/webp", &[(0, b"RIFF"), (8, b"WEBPVP")]),
    ("image/png", &[(0, b"\x89PNG\r\n\x1A\n")]),
    ("image/jpeg", &[(0, b"\xFF\xD8\xFF")]),
];

const SOUND_AND_FILM: &[Signature] = &[
    ("audio/aiff", &[(0, b"FORM"), (8, b"AIFF")]),
    ("audio/mpeg", &[(0, b"ID3")]),
    ("application/ogg", &[(0, b"OggS\0")]),
    ("audio/midi", &[(0, b"MThd\0\0\0\x06")]),
    ("video/avi", &[(0, b"RIFF"), (8, b"AVI ")]),
    ("audio/wave", &[(0, b"RIFF"), (8, b"WAVE")]),
    ("video/webm", &[(0, b"\x1A\x45\xDF\xA3")]),
];

const FONTS: &[Signature] = &[
    ("application/vnd.ms-fontobject", &[(34, b"LP")]),
    ("font/ttf", &[(0, b"\0\x01\0\0")]),
    ("font/otf", &[(0, b"OTTO")]),
    ("font/collection", &[(0, b"ttcf")]),
    ("font/woff", &[(0, b"wOFF")]),
    ("font/woff2", &[(0, b"wOF2")]),
];

const ARCHIVES: &[Signature] = &[
    ("application/x-gzip", &[(0, b"\x1F\x8B\x08")]),
    ("application/zip", &[(0, b"PK\x03\x04")]),
    ("application/x-rar-compressed", &[(0, b"Rar!\x1A\x07\0")]),
    ("application/x-rar-compressed", &[(0, b"Rar!\x1A\x07\x01\0")]),
    ("application/wasm", &[(0, b"\0asm")]),
];

fn find(signatures: &[Signature], data: &[u8]) -> Option<&'static str> {
    let has = |&(at, piece): &(usize, &[u8])| data.get(at..).is_some_and(|rest| rest.starts_with(piece));
    signatures.iter().find(|(_, pieces)| pieces.iter().all(has)).map(|(content_type, _)| *content_type)
}

/// Whether this begins with a whole `ftyp` box that names an `mp4` brand (MIME Sniffing §6.2.1):
/// its size, `ftyp`, the major brand, a version, and any number of compatible brands.
fn is_mp4(data: &[u8]) -> bool {
    let Some((size, _)) = data.split_first_chunk() else { return false };
    let Ok(size) = usize::try_from(u32::from_be_bytes(*size)) else { return false };
    let Some((b"ftyp", brands)) = data.get(4..size).and_then(<[u8]>::split_first_chunk) else { return false };
    size % 4 == 0 && brands.chunks_exact(4).enumerate().any(|(n, brand)| n != 1 && brand.starts_with(b"mp4"))
}

/// Whether no text has this byte (MIME Sniffing §3): the control characters, except white space
/// and the escape that begins ISO 2022's shifts.
const fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINARY: &str = "application/octet-stream";
    const HTML: &str = "text/html; charset=utf-8";

    #[test]
    fn each_kind_is_told_by_its_beginning_and_not_by_a_part_of_it() {
        let eot = [&[1; 34][..], b"LP"].concat();
        let table: [(&[u8], &str, &str); 31] = [
            (b"%PDF-", "application/pdf", TEXT),
            (b"%!PS-Adobe-", "application/postscript", TEXT),
            (b"\xFE\xFF\0t", "text/plain; charset=utf-16be", BINARY),
            (b"\xFF\xFEt\0", "text/plain; charset=utf-16le", TEXT),
            (b"\xEF\xBB\xBF\0", TEXT, TEXT),
            (b"\0\0\x01\0", "image/x-icon", BINARY),
            (b"\0\0\x02\0", "image/x-icon", BINARY),
            (b"BM", "image/bmp", TEXT),
            (b"GIF87a", "image/gif", TEXT),
            (b"GIF89a", "image/gif", TEXT),
            (b"RIFF\0\0\0\0WEBPVP", "image/webp", BINARY),
            (b"\x89PNG\r\n\x1A\n", "image/png", BINARY),
            (b"\xFF\xD8\xFF", "image/jpeg", TEXT),
            (b"FORM....AIFF", "audio/aiff", TEXT),
            (b"ID3", "audio/mpeg", TEXT),
            (b"OggS\0", "application/ogg", TEXT),
            (b"MThd\0\0\0\x06", "audio/midi", BINARY),
            (b"RIFF....AVI ", "video/avi", TEXT),
            (b"RIFF....WAVE", "audio/wave", TEXT),
            (b"\x1A\x45\xDF\xA3", "video/webm", BINARY),
            (b"\0\0\0\x0Cftypmp42", "video/mp4", BINARY),
            (&eot, "application/vnd.ms-fontobject", BINARY),
            (b"\0\x01\0\0", "font/ttf", BINARY),
            (b"OTTO", "font/otf", TEXT),
            (b"ttcf", "font/collection", TEXT),
            (b"wOFF", "font/woff", TEXT),
            (b"wOF2", "font/woff2", TEXT),
            (b"\x1F\x8B\x08", "application/x-gzip", BINARY),
            (b"PK\x03\x04", "application/zip", BINARY),
            (b"Rar!\x1A\x07\0", "application/x-rar-compressed", BINARY),
            (b"\0asm", "application/wasm", BINARY),
        ];
        for (begin, expected, cut) in table {
            assert_eq!(detect_content_type(begin), expected, "{begin:?}");
            assert_eq!(detect_content_type(&[begin, b" and more\0"].concat()), expected, "{begin:?} and more");
            assert_eq!(detect_content_type(&begin[..begin.len() - 1]), cut, "{begin:?} without its last byte");
        }
        assert_eq!(detect_content_type(b"Rar!\x1A\x07\x01\0"), "application/x-rar-compressed");
    }

    #[test]
    fn a_tag_is_html_in_any_case_behind_white_space_and_once_it_ends() {
        for tag in HTML_TAGS {
            let lower = tag.to_ascii_lowercase();
            for end in [b" ", b">"] {
                assert_eq!(detect_content_type(&[tag, end].concat()), HTML);
                assert_eq!(detect_content_type(&[b"\t\n\x0C\r ", &lower[..], end, b"\0"].concat()), HTML);
            }
            for no_end in [&b""[..], b"\t", b"x", b"/"] {
                assert_eq!(detect_content_type(&[tag, no_end].concat()), TEXT, "{tag:?} and {no_end:?}");
            }
        }
        assert_eq!(detect_content_type(b"\x0B<html>"), BINARY, "a vertical tab is no white space");
        assert_eq!(detect_content_type(b"\xC2\xA0<html>"), TEXT, "nor is a space that does not break");
    }

    #[test]
    fn xml_is_told_by_its_declaration_in_lower_case() {
        assert_eq!(detect_content_type(b"\n<?xml version='1.0'?>"), "text/xml; charset=utf-8");
        assert_eq!(detect_content_type(b"<?XML version='1.0'?>"), TEXT);
    }

    #[test]
    fn an_mp4_has_a_whole_box_with_an_mp4_brand() {
        let table: [(&[u8], &str); 8] = [
            (b"\0\0\0\x14ftypisom\0\0\0\0mp41", "video/mp4"),
            (b"\0\0\0\x18ftypisom\0\0\0\0avc1mp42", "video/mp4"),
            (b"\0\0\0\x14ftypisom\0\0\0\0avc1", BINARY),
            (b"\0\0\0\x10ftypisommp42", BINARY),         // only as its version
            (b"\0\0\0\x10ftypisom\0\0\0\0mp42", BINARY), // behind the box
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp41", BINARY), // the box is not all there
            (b"\0\0\0\x0Dftypmp42.", BINARY),            // no multiple of four
            (b"\0\0\0\0ftypmp42", BINARY),
        ];
        for (data, expected) in table {
            assert_eq!(detect_content_type(data), expected, "{data:?}");
        }
    }

    #[test]
    fn what_fits_nothing_is_text_unless_a_byte_speaks_against_it() {
        for text in [&b""[..], b" ", b"plain", b"tab\tand\r\nlines\x0C", b"\x1B[1mbold\x1B[m", b"\xE9t\xE9 in latin-1"]
        {
            assert_eq!(detect_content_type(text), TEXT, "{text:?}");
        }
        for byte in 0..=u8::MAX {
            let expected = if byte < b' ' && !b"\t\n\x0C\r\x1B".contains(&byte) { BINARY } else { TEXT };
            assert_eq!(detect_content_type(&[b'a', byte]), expected, "{byte:#x}");
        }
    }

    #[test]
    fn nothing_behind_the_first_512_bytes_is_looked_at() {
        let mut data = [b' '; 600];
        data[511] = 0;
        assert_eq!(detect_content_type(&data), BINARY);
        data[511] = b' ';
        data[512] = 0;
        assert_eq!(detect_content_type(&data), TEXT);
        data[507..512].copy_from_slice(b"<?xml");
        assert_eq!(detect_content_type(&data), "text/xml; charset=utf-8");
        data[506..513].copy_from_slice(b"<table>");
        assert_eq!(detect_content_type(&data), TEXT, "the end of the tag is the 513th byte");
    }
}
