//! A directory as a page: read, sorted, and written as HTML that needs no script.

use std::ffi::OsString;
use std::fmt::{self, Display, Write as _};
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::condition::time_of_change;
use super::file_system::{DirEntry, File, FileKind};
use super::path::{NameRules, encode_name, is_servable};
use crate::message::civil_date;

/// The entries of a directory that can be served.
pub(super) struct Listing {
    /// Directories first, then by name.
    pub(super) entries: Vec<ListedEntry>,
    /// The last change of the directory or of anything that the page shows: a file that grows
    /// does not touch its directory, yet its size is on the page. `None` as soon as one of them has a
    /// time that tells no change: it could change without making this one later.
    pub(super) modified: Option<SystemTime>,
}

/// A line of the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListedEntry {
    name: OsString,
    kind: EntryKind,
    modified: Option<SystemTime>,
}

#[derive(Debug, PartialEq, Eq)]
enum EntryKind {
    Directory,
    File { length: u64 },
}

/// Reads a directory. What would not be served is left out. May block.
pub(super) fn read(directory: &dyn File, rules: NameRules) -> io::Result<Listing> {
    let mut last = time_of_change(directory.info()?.modified);
    let mut entries = Vec::new();
    for found in directory.read_dir()? {
        if let Some(entry) = servable(found, rules) {
            last = last.zip(time_of_change(entry.modified)).map(|(last, time)| last.max(time));
            entries.push(entry);
        }
    }
    entries.sort_unstable_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    Ok(Listing { entries, modified: last })
}

fn servable(found: DirEntry, rules: NameRules) -> Option<ListedEntry> {
    let kind = match found.info.kind {
        FileKind::Directory => EntryKind::Directory,
        FileKind::File => EntryKind::File { length: found.info.length },
        FileKind::Other => return None,
    };
    let is_servable = is_servable(&found.name, rules);
    is_servable.then_some(ListedEntry { name: found.name, kind, modified: found.info.modified })
}

impl ListedEntry {
    fn sort_key(&self) -> (bool, &OsString) {
        (matches!(self.kind, EntryKind::File { .. }), &self.name)
    }
}

/// The page of the directory that lies at `relative` below the root.
pub(super) fn render(relative: &Path, entries: &[ListedEntry]) -> String {
    let mut page = String::with_capacity(3072 + entries.len() * 256);
    // A string takes whatever is written to it.
    write_page(&mut page, relative, entries).expect("writing to a string does not fail");
    page
}

fn write_page(page: &mut String, relative: &Path, entries: &[ListedEntry]) -> fmt::Result {
    let title = title(relative);
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>",
        EscapeHtml(&title)
    )?;
    write_way(page, relative)?;
    let directories = entries.iter().filter(|entry| entry.kind == EntryKind::Directory).count();
    let counted = EntryCount { directories, files: entries.len() - directories };
    write!(
        page,
        "</h1>\n<p>{counted}</p>\n<table>\n<thead><tr><th scope=\"col\">Name</th>\
         <th scope=\"col\">Size</th><th scope=\"col\">Changed (UTC)</th></tr></thead>\n<tbody>\n"
    )?;
    if !relative.as_os_str().is_empty() {
        page.push_str("<tr class=\"d\"><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in entries {
        write_row(page, entry)?;
    }
    page.push_str("</tbody>\n</table>\n</main>\n</body>\n</html>\n");
    Ok(())
}

/// What a browser may do with the page: show it, with the style that stands in it, and nothing else.
/// The names on it are escaped; this holds should that fail. A style that changes has another digest,
/// which a test of the command finds out.
pub(super) const POLICY: &str =
    "default-src 'none'; img-src 'self'; style-src 'sha256-yJe16CTO1fx76C9wlDO9clobh1GCw5E1+eUct0VpiI8='";

/// Colours are the system's, light or dark. On a narrow screen size and time stand below the name.
const STYLE: &str = "\
:root { color-scheme: light dark; --line: #8883; --over: #8881; --link: light-dark(#0b57d0, #8ab4f8); }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.375rem; font-weight: 600; margin: 0; padding: 0 0.5rem; overflow-wrap: anywhere; }
p, th, td + td { color: color-mix(in srgb, currentColor 65%, transparent); font-size: 0.875rem; }
p { margin: 0.25rem 0 1.25rem; padding: 0 0.5rem; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
table { border-collapse: collapse; width: 100%; }
th { font-weight: 500; text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: 0.4rem 0.5rem; }
th + th, td + td { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td:first-child { overflow-wrap: anywhere; }
td:first-child a { display: block; }
.d a { font-weight: 600; }
tbody tr:hover { background: var(--over); }
@media (max-width: 36rem) {
thead { display: none; }
tr { display: flex; flex-wrap: wrap; column-gap: 1rem; border-bottom: 1px solid var(--line); padding: 0.4rem 0; }
td { border: 0; padding: 0 0.5rem; }
td + td + td { padding-left: 0; }
td:empty + td { padding-left: 0.5rem; }
td:first-child { flex: 0 0 100%; box-sizing: border-box; }
td:empty { display: none; }
}
";

/// The path as links to each of its directories. They are relative: a prefix may have been taken
/// off the path that the client knows.
fn write_way(page: &mut String, relative: &Path) -> fmt::Result {
    let depth = relative.iter().count();
    if depth == 0 {
        return page.write_str("/");
    }
    write!(page, "<a href=\"{}\">/</a>", "../".repeat(depth))?;
    for (at, name) in relative.iter().enumerate() {
        let name = name.to_string_lossy();
        let name = EscapeHtml(&name);
        match depth - at - 1 {
            0 => write!(page, "{name}/")?,
            up => write!(page, "<a href=\"{}\">{name}/</a>", "../".repeat(up))?,
        }
    }
    Ok(())
}

fn write_row(page: &mut String, entry: &ListedEntry) -> fmt::Result {
    let link = encode_name(&entry.name);
    let name = entry.name.to_string_lossy();
    let name = EscapeHtml(&name);
    match entry.kind {
        EntryKind::Directory => write!(page, "<tr class=\"d\"><td><a href=\"{link}/\">{name}/</a></td><td></td>")?,
        EntryKind::File { length } => {
            write!(page, "<tr><td><a href=\"{link}\">{name}</a></td><td>{}</td>", Size(length))?;
        }
    }
    match entry.modified {
        Some(modified) => writeln!(page, "<td>{}</td></tr>", Minute(modified)),
        None => page.write_str("<td></td></tr>\n"),
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

/// How many directories and files the page shows.
struct EntryCount {
    directories: usize,
    files: usize,
}

impl Display for EntryCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        match (self.directories, self.files) {
            (0, 0) => f.write_str("Empty"),
            (0, files) => write!(f, "{files} file{}", plural(files)),
            (folders, 0) => write!(f, "{folders} folder{}", plural(folders)),
            (folders, files) => write!(f, "{folders} folder{}, {files} file{}", plural(folders), plural(files)),
        }
    }
}

/// A time as `2026-01-31 23:59`, in UTC.
struct Minute(SystemTime);

impl Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 60);
        let (year, month, day) = civil_date(minutes / 1440);
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes / 60 % 24, minutes % 60)
    }
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
            // A value that rounds to 1024.0 is shown as 1.0 of the next unit.
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
    use std::time::Duration;

    use super::*;

    fn directory(name: &str) -> ListedEntry {
        ListedEntry { name: name.into(), kind: EntryKind::Directory, modified: None }
    }

    fn file(name: &str, length: u64) -> ListedEntry {
        ListedEntry { name: name.into(), kind: EntryKind::File { length }, modified: None }
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
        let below = render(Path::new("a/<b>/c"), &[]);
        assert!(below.contains("<title>/a/&lt;b&gt;/c/</title>"));
        let way = "<h1><a href=\"../../../\">/</a><a href=\"../../\">a/</a><a href=\"../\">&lt;b&gt;/</a>c/</h1>";
        assert!(below.contains(way), "{below}");
        assert!(below.contains("<td><a href=\"../\">../</a></td>"));
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
    fn files_and_directories_are_counted() {
        let said = |entries: &[ListedEntry]| {
            let page = render(Path::new(""), entries);
            page.split("<p>").nth(1).and_then(|rest| rest.split("</p>").next()).map(ToOwned::to_owned).unwrap()
        };
        assert_eq!(said(&[]), "Empty");
        assert_eq!(said(&[file("a", 0)]), "1 file");
        assert_eq!(said(&[directory("a"), directory("b")]), "2 folders");
        assert_eq!(said(&[directory("a"), file("b", 1), file("c", 1)]), "1 folder, 2 files");
    }

    #[test]
    fn a_time_is_shown_to_the_minute_and_none_as_nothing() {
        let time = UNIX_EPOCH + Duration::from_secs(1_769_903_999);
        let page = render(Path::new(""), &[ListedEntry { modified: Some(time), ..file("a", 1) }, directory("b")]);
        assert!(page.contains("<td>1 B</td><td>2026-01-31 23:59</td></tr>"), "{page}");
        assert!(page.contains("b/</a></td><td></td><td></td></tr>"), "{page}");
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
