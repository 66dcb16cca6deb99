//! A directory as a page: read, sorted, and written as HTML that needs no script.

use std::ffi::OsString;
use std::fmt::{self, Display, Write as _};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::file_system::{DirEntry, File, FileKind};
use super::path::{Hidden, encode_name, is_servable};

/// What of a directory can be served.
pub(super) struct Listing {
    /// Directories first, then by name.
    pub(super) entries: Vec<Entry>,
    /// The last change of the directory or of anything that the page shows: a file that grows
    /// does not touch its directory, yet its size is on the page.
    pub(super) modified: Option<SystemTime>,
}

/// A line of the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    name: OsString,
    content: Content,
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Directory,
    File { length: u64 },
}

/// Reads a directory. What would not be served is left out. May block.
pub(super) fn read(directory: &dyn File, hidden: Hidden) -> io::Result<Listing> {
    let mut last = directory.info()?.modified;
    let mut entries = Vec::new();
    for found in directory.read_dir()? {
        let time = found.info.modified;
        if let Some(entry) = servable(found, hidden) {
            entries.push(entry);
            last = last.max(time);
        }
    }
    entries.sort_unstable_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    Ok(Listing { entries, modified: last })
}

fn servable(found: DirEntry, hidden: Hidden) -> Option<Entry> {
    let content = match found.info.kind {
        FileKind::Directory => Content::Directory,
        FileKind::File => Content::File { length: found.info.length },
        FileKind::Other => return None,
    };
    is_servable(found.name.as_encoded_bytes(), hidden).then_some(Entry { name: found.name, content })
}

impl Entry {
    fn sort_key(&self) -> (bool, &OsString) {
        (matches!(self.content, Content::File { .. }), &self.name)
    }
}

/// The page of the directory that lies at `relative` below the root.
pub(super) fn render(relative: &Path, entries: &[Entry]) -> String {
    let mut page = String::with_capacity(1024 + entries.len() * 128);
    // A string takes whatever is written to it.
    write_page(&mut page, relative, entries).expect("writing to a string does not fail");
    page
}

fn write_page(page: &mut String, relative: &Path, entries: &[Entry]) -> fmt::Result {
    let title = title(relative);
    let title = EscapeHtml(&title);
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<table>\n"
    )?;
    if !relative.as_os_str().is_empty() {
        page.push_str("<tr><td><a href=\"../\">../</a></td><td></td></tr>\n");
    }
    for entry in entries {
        write_row(page, entry)?;
    }
    page.push_str("</table>\n</body>\n</html>\n");
    Ok(())
}

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.25rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid #8884; padding: 0.25rem 0; overflow-wrap: anywhere; }
td + td { text-align: right; white-space: nowrap; padding-left: 1rem; }
";

fn write_row(page: &mut String, entry: &Entry) -> fmt::Result {
    let link = encode_name(&entry.name);
    let name = entry.name.to_string_lossy();
    let name = EscapeHtml(&name);
    match entry.content {
        Content::Directory => writeln!(page, "<tr><td><a href=\"{link}/\">{name}/</a></td><td></td></tr>"),
        Content::File { length } => {
            writeln!(page, "<tr><td><a href=\"{link}\">{name}</a></td><td>{}</td></tr>", Size(length))
        }
    }
}

/// The path from the root, with the slashes of the web on every platform.
fn title(relative: &Path) -> String {
    let mut title = String::from("/");
    for name in relative {
        title.push_str(&name.to_string_lossy());
        title.push('/');
    }
    title
}

/// Text as HTML text, fit for an attribute in either kind of quotes as well.
struct EscapeHtml<'a>(&'a str);

impl Display for EscapeHtml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&#34;")?,
                '\'' => f.write_str("&#39;")?,
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}

/// A length as people read it: in units of 1024, with one decimal from KiB upwards.
struct Size(u64);

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut size = self.0 as f64 / 1024.0;
        let mut unit = UNITS[0];
        for larger in &UNITS[1..] {
            // What would be shown as 1024.0 is shown as 1.0 of the next.
            if size < 1023.95 {
                break;
            }
            size /= 1024.0;
            unit = larger;
        }
        write!(f, "{size:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> Entry {
        Entry { name: name.into(), content: Content::Directory }
    }

    fn file(name: &str, length: u64) -> Entry {
        Entry { name: name.into(), content: Content::File { length } }
    }

    #[test]
    fn a_name_cannot_leave_its_cell_nor_its_link() {
        let page = render(Path::new(""), &[file("\"><script>alert(1)</script>&'", 3), directory("a b?c#d%")]);
        assert!(page.contains(
            "<a href=\"%22%3E%3Cscript%3Ealert%281%29%3C%2Fscript%3E%26%27\">\
             &#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;</a></td><td>3 B</td>"
        ));
        assert!(page.contains("<a href=\"a%20b%3Fc%23d%25/\">a b?c#d%/</a>"));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn the_title_is_escaped_and_the_way_up_is_shown_below_the_root_only() {
        let below = render(Path::new("a/<b>"), &[]);
        assert!(below.contains("<title>/a/&lt;b&gt;/</title>") && below.contains("<h1>/a/&lt;b&gt;/</h1>"));
        assert!(below.contains("<a href=\"../\">../</a>"));
        let root = render(Path::new(""), &[]);
        assert!(root.contains("<h1>/</h1>") && !root.contains("../"));
    }

    #[test]
    fn the_page_has_no_script_and_names_its_charset_first() {
        let page = render(Path::new(""), &[file("a", 0)]);
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"));
        assert!(!page.contains("script"));
    }

    #[test]
    fn a_size_has_the_unit_that_keeps_it_short() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_575, "1.0 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (length, shown) in cases {
            assert_eq!(Size(length).to_string(), shown, "{length}");
        }
    }
}
