//! What those who mean ill ask of a folder, and put into it: sent as raw bytes over real sockets, as
//! HTTP/1.1, as HTTP/1.1 over TLS, and as HTTP/2.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nethttp::files::{Dir, FileServer};
use nethttp::tls::{Certificate, TlsServerConfig};
use nethttp::{Handler, Server, file_server};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::certificates::Authority;
use crate::files_kit::Tree;
use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame};

/// How a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Http1,
    Tls,
    Http2,
}

const WAYS: [Way; 3] = [Way::Http1, Way::Tls, Way::Http2];

/// What came back.
#[derive(Debug)]
struct Came {
    status: u16,
    /// As text; of HTTP/2, where it is compressed, nothing.
    head: String,
    content: Vec<u8>,
    /// Whether it was as long as announced, or ended in good order.
    is_whole: bool,
}

impl Came {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

struct Site {
    plain: SocketAddr,
    secure: SocketAddr,
    connector: TlsConnector,
}

impl Site {
    async fn start(handler: impl Handler + Clone) -> Site {
        let authority = Authority::new("ca");
        let issued = authority.issue(&["files.test"]);
        let certificate = Certificate::from_pem(&issued.certificate, &issued.key).unwrap();
        let plain = listen(handler.clone(), None).await;
        let secure = listen(handler, Some(TlsServerConfig::new([certificate]).unwrap())).await;
        Site { plain, secure, connector: crate::foreign_tls::connector(&authority, &[]) }
    }

    /// Sends the target as it stands.
    async fn get(&self, way: Way, target: impl AsRef<[u8]>) -> Came {
        self.get_while(way, target, || {}).await
    }

    /// Lets something happen once the first bytes of the content are here.
    async fn get_while(&self, way: Way, target: impl AsRef<[u8]>, happens: impl FnOnce()) -> Came {
        let stream = TcpStream::connect(if way == Way::Tls { self.secure } else { self.plain }).await.unwrap();
        match way {
            Way::Http1 => over_http1(stream, target.as_ref(), happens).await,
            Way::Tls => {
                let name = ServerName::try_from("files.test").unwrap();
                over_http1(self.connector.connect(name, stream).await.unwrap(), target.as_ref(), happens).await
            }
            Way::Http2 => over_http2(stream, target.as_ref(), happens).await,
        }
    }
}

async fn listen(handler: impl Handler, tls: Option<TlsServerConfig>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut server = Server::new(handler);
    server.on_event = Some(Arc::new(|_| {}));
    tokio::spawn(async move {
        match tls {
            Some(tls) => server.serve_tls(listener, &tls).await,
            None => server.serve(listener).await,
        }
    });
    addr
}

async fn over_http1(mut stream: impl AsyncRead + AsyncWrite + Unpin, target: &[u8], happens: impl FnOnce()) -> Came {
    let fields = b" HTTP/1.1\r\nHost: files.test\r\nConnection: close\r\n\r\n";
    stream.write_all(&[b"GET ", target, fields].concat()).await.unwrap();
    let mut bytes = Vec::new();
    let mut happens = Some(happens);
    // A connection that is cut may end with an error.
    while let Ok(1..) = stream.read_buf(&mut bytes).await {
        if let Some(happens) = happens.take() {
            happens();
        }
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head") + 4;
    let content = bytes.split_off(end);
    let head = String::from_utf8(bytes).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let is_whole = length.is_some_and(|length| length.parse() == Ok(content.len()));
    Came { status, head, content, is_whole }
}

async fn over_http2(mut stream: TcpStream, target: &[u8], happens: impl FnOnce()) -> Came {
    // Windows that nothing here fills (RFC 9113 §6.9).
    let wide = [0x7f, 0, 0, 0];
    let settings = [&[0, 4][..], &wide].concat();
    // GET, http, a host, and the path as a literal (RFC 7541 §6.2.2).
    let length = u8::try_from(target.len()).ok().filter(|length| *length < 127).expect("a short target");
    let head = [&[0x82, 0x86, 0x01, 0x01, b'h', 0x04, length][..], target].concat();
    let sent = [
        PREFACE,
        &frame(SETTINGS, 0, 0, &settings),
        &frame(WINDOW_UPDATE, 0, 0, &wide),
        &frame(HEADERS, END_STREAM | END_HEADERS, 1, &head),
    ];
    stream.write_all(&sent.concat()).await.unwrap();
    let mut came = Came { status: 0, head: String::new(), content: Vec::new(), is_whole: false };
    let mut happens = Some(happens);
    while let Some((kind, flags, payload)) = next_frame(&mut stream).await {
        match kind {
            HEADERS => came.status = status_of(&payload),
            DATA => {
                came.content.extend_from_slice(&payload);
                if let Some(happens) = happens.take() {
                    happens();
                }
            }
            RST_STREAM => break,
            _ => continue,
        }
        if flags & END_STREAM != 0 {
            came.is_whole = true;
            break;
        }
    }
    came
}

async fn next_frame(stream: &mut TcpStream) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], payload))
}

/// Of those that the static table has (RFC 7541, appendix A); 0 for any other.
fn status_of(block: &[u8]) -> u16 {
    const TABLE: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // The size of the table may be told first.
    let first = block.iter().copied().find(|byte| byte & 0xe0 != 0x20).unwrap_or_default();
    first.checked_sub(0x88).and_then(|at| TABLE.get(usize::from(at))).copied().unwrap_or_default()
}

#[tokio::test]
async fn no_path_leads_out_of_the_root_nor_to_another_name_of_what_is_refused() {
    let tree =
        Tree::new(&[("secret.txt", b"secret"), ("root/a.txt", b"a"), ("root/dir/b", b"b"), ("root/.env", b"secret")]);
    let top = fs::canonicalize(&tree.0).unwrap();
    symlink("../secret.txt", tree.0.join("root/link")).unwrap();
    symlink("..", tree.0.join("root/up")).unwrap();
    symlink(top.join("secret.txt"), tree.0.join("root/absolute")).unwrap();
    symlink("/proc/self/root", tree.0.join("root/magic")).unwrap();
    let site = Site::start(file_server(tree.0.join("root"))).await;
    let own = format!("/magic{}/secret.txt", top.display());
    let targets = [
        "/../secret.txt",
        "/dir/../../secret.txt",
        "/dir/../a.txt",
        "//../secret.txt",
        "/./a.txt",
        "/%2e%2e/secret.txt",
        "/.%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/dir%2f..%2f..%2fsecret.txt",
        "/dir%2fb",
        "/..%5csecret.txt",
        "/dir%5cb",
        "/%5c%5cserver%5cshare",
        "/%252e%252e/secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/..%c0%afsecret.txt",
        "/%u002e%u002e/secret.txt",
        "/a.txt%00",
        "/a.txt%00.html",
        "/%00",
        "/a.txt::$DATA",
        "/a.txt%3a%3a%24DATA",
        "/c%3a%5ca.txt",
        "/.env",
        "/%2eenv",
        "/dir/%2e",
        "/link",
        "/up/secret.txt",
        "/up/",
        "/absolute",
        &own,
        "/magic/etc/passwd",
        "/a.txt/../a.txt",
        "/%",
        "/%4",
    ];
    for way in WAYS {
        for target in targets {
            let came = site.get(way, target).await;
            assert!([400, 404].contains(&came.status), "{way:?} {target} is {}", came.status);
            assert!(!came.text().contains("secret") && came.content != b"a", "{way:?} {target}");
        }
        assert_eq!(site.get(way, "/a.txt").await.text(), "a");
    }
}

#[tokio::test]
async fn what_is_no_file_is_neither_served_nor_waited_for() {
    let tree = Tree::new(&[("a.txt", b"a")]);
    let made = std::process::Command::new("mkfifo").arg(tree.0.join("pipe")).arg(tree.0.join("index.html")).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo is part of POSIX");
    let _socket = std::os::unix::net::UnixListener::bind(tree.0.join("socket")).unwrap();
    symlink("/dev/zero", tree.0.join("zero")).unwrap();
    symlink("/dev/tty", tree.0.join("tty")).unwrap();
    for trusted in [Dir::new(&tree.0), Dir::trusted(&tree.0)] {
        let site = Site::start(FileServer::new(trusted).index_page("")).await;
        for way in WAYS {
            for target in ["/pipe", "/index.html", "/socket", "/zero", "/tty"] {
                assert_eq!(site.get(way, target).await.status, 404, "{way:?} {target}");
            }
            let page = site.get(way, "/").await.text();
            let links: Vec<_> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(links, ["a.txt"], "{way:?}");
        }
    }
}

#[tokio::test]
async fn what_may_not_be_read_is_forbidden_and_no_more_is_said() {
    use std::os::unix::fs::PermissionsExt as _;

    let tree = Tree::new(&[("a.txt", b"content"), ("dir/a.txt", b"content")]);
    for name in ["a.txt", "dir"] {
        fs::set_permissions(tree.0.join(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    // Who runs this may be one to whom nothing is forbidden.
    let expected = if fs::File::open(tree.0.join("a.txt")).is_ok() { "content" } else { "403 Forbidden\n" };
    let site = Site::start(file_server(&tree.0)).await;
    for way in WAYS {
        for target in ["/a.txt", "/dir/a.txt"] {
            assert_eq!(site.get(way, target).await.text(), expected, "{way:?} {target}");
        }
    }
    fs::set_permissions(tree.0.join("dir"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_swapped_all_the_time_is_one_of_the_things_it_was_and_never_what_lies_outside() {
    struct Ending<'a>(&'a AtomicBool);

    impl Drop for Ending<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let tree = Tree::new(&[("secret/a", b"secret"), ("secret/index.html", b"secret"), ("root/.dir/a", b"in")]);
    fs::write(tree.0.join("root/.file"), "file").unwrap();
    symlink("../secret", tree.0.join("root/.link")).unwrap();
    let site = Site::start(file_server(tree.0.join("root"))).await;
    let (root, done) = (tree.0.join("root"), Arc::new(AtomicBool::new(false)));
    let swapping = {
        let (root, done) = (root.clone(), done.clone());
        std::thread::spawn(move || {
            for shape in [".dir", ".link", ".file"].iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                fs::rename(root.join(shape), root.join("x")).unwrap();
                fs::rename(root.join("x"), root.join(shape)).unwrap();
            }
        })
    };
    {
        let _ending = Ending(&done);
        for round in 0..200 {
            let way = WAYS[round % WAYS.len()];
            for target in ["/x", "/x/", "/x/a", "/"] {
                let came = site.get(way, target).await;
                assert_ne!(came.status, 500, "{way:?} {target}");
                assert!(came.is_whole || way != Way::Http2, "{way:?} {target}");
                assert!(!came.text().contains("secret"), "{way:?} {target}");
            }
        }
    }
    swapping.join().unwrap();
}

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_is_never_taken_for_whole() {
    const SIZE: u64 = 64 * MIB;
    let tree = Tree::new(&[]);
    let file = fs::File::create(tree.0.join("big.bin")).unwrap();
    let site = Site::start(file_server(&tree.0)).await;
    for way in WAYS {
        file.set_len(SIZE).unwrap();
        let came = site.get_while(way, "/big.bin", || file.set_len(1000).unwrap()).await;
        assert!(!came.is_whole && (came.content.len() as u64) < SIZE, "{way:?}: {} bytes", came.content.len());
    }
}

#[tokio::test]
async fn a_file_that_grows_or_is_replaced_while_it_is_sent_comes_as_it_was_announced() {
    let tree = Tree::new(&[]);
    let path = tree.0.join("big.bin");
    let site = Site::start(file_server(&tree.0)).await;
    let old = vec![b'o'; 16 << 20];
    for way in WAYS {
        fs::write(&path, &old).unwrap();
        let grown = site
            .get_while(way, "/big.bin", || {
                let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
                std::io::Write::write_all(&mut file, &vec![b'n'; 1 << 20]).unwrap();
            })
            .await;
        assert!(grown.is_whole && grown.content == old, "{way:?}: {} bytes", grown.content.len());

        fs::write(&path, &old).unwrap();
        let replaced = site
            .get_while(way, "/big.bin", || {
                fs::write(tree.0.join("new.bin"), "new").unwrap();
                fs::rename(tree.0.join("new.bin"), &path).unwrap();
            })
            .await;
        assert!(replaced.is_whole && replaced.content == old, "{way:?}: {} bytes", replaced.content.len());
    }
}

#[tokio::test]
async fn whatever_a_name_has_in_it_stays_in_its_link_and_its_field() {
    let names: [&[u8]; 7] = [
        b"new\nline",
        b"re\rturn\r\nSet-Cookie\t a",
        b"\"quotes\" and 'more'",
        b"<script>alert(1)<",
        b"caf\xe9",
        b"tab\tand\x1b[2J",
        b"javascript&colon;alert(1)",
    ];
    let tree = Tree::new(&[]);
    for name in names {
        let path = tree.0.join(Path::new(std::ffi::OsStr::from_bytes(name)));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a.txt"), name).unwrap();
    }
    let site = Site::start(file_server(&tree.0)).await;
    for way in WAYS {
        let page = site.get(way, "/").await.text();
        assert!(!page.contains("<script"), "{page}");
        let links: Vec<_> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut reached = Vec::new();
        for link in &links {
            assert!(link.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%/".contains(&byte)), "{link}");
            reached.push(site.get(way, format!("/{link}a.txt")).await.content);
        }
        let mut expected = names.map(<[u8]>::to_vec).to_vec();
        expected.sort();
        assert_eq!(reached, expected, "{way:?}");
        for link in links {
            let moved = site.get(way, format!("/{}", link.trim_end_matches('/'))).await;
            assert!(moved.is_whole && moved.content.is_empty());
            if way != Way::Http2 {
                assert_eq!(moved.status, 301);
                assert!(moved.head.contains(&format!("\r\nLocation: {link}\r\n")), "{}", moved.head);
                assert!(!moved.head.contains("\r\nSet-Cookie"), "{}", moved.head);
            }
        }
    }
}
