//! Who sends a request: names with passwords (RFC 7617), and tokens (RFC 6750).

use std::fmt;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;

use crate::error::{Error, Result};
use crate::message::{Header, Request, add_to_vary, has_control};
use crate::server::{Middleware, Next, ResponseWriter};

/// Lets in who shows a password (`Basic`, RFC 7617) or a token (`Bearer`, RFC 6750), and responds with 401 to all
/// others, with a challenge for each scheme that is set up here.
///
/// - Who it is stands in the request's extensions: [`Identity`].
/// - Passwords and tokens in a table are compared in constant time, and all of the table at each try: how long that
///   takes tells neither whether a name is known nor how much of a password was right. Keep few there, and hashes
///   of passwords behind [`basic_by`](Authentication::basic_by).
/// - Names and passwords are UTF-8, which the challenge says (`charset`). Credentials that are no Base64 or no
///   UTF-8, that hold a control character, or that have no colon are wrong ones.
/// - A request with two `Authorization` fields is refused with 400: another reader might look at the other one.
/// - Who is known and may not is refused with 403; see [`allow`](Authentication::allow).
///
/// Passwords and tokens can be read on the way unless the connection is TLS
/// ([`HttpsRedirect`](super::HttpsRedirect)), and be guessed unless tries are limited
/// ([`RateLimit`](super::RateLimit), around this one). [`Cors`](super::Cors) goes around this one too: preflights
/// carry no credentials.
///
/// ```
/// use nethttp::middleware::{Authentication, Identity};
/// use nethttp::{Request, ResponseWriter, ServeMux};
///
/// let mux = ServeMux::new();
/// mux.handle("GET /", async |w: &mut ResponseWriter, r: &mut Request| {
///     let name = r.extensions.get::<Identity>().map(|identity| identity.name.clone()).unwrap_or_default();
///     w.write(format!("hello, {name}\n")).await
/// });
/// # let (password, token) = ("sesame", "t0ken");
/// mux.wrap(Authentication::new("members").basic_users([("ada", password)]).bearer_tokens([("robot", token)]));
/// ```
#[derive(Clone)]
pub struct Authentication {
    realm: String,
    basic: Vec<BasicCheck>,
    bearer: Vec<BearerCheck>,
    allow: Option<Arc<dyn Fn(&Identity, &Request) -> bool + Send + Sync>>,
    required: Required,
}

/// Who sends a request, as [`Authentication`] has found out; in the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The user, or whom the token belongs to.
    pub name: String,
    /// By what it was shown.
    pub scheme: AuthScheme,
}

/// By what a client shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthScheme {
    /// A name and a password (RFC 7617).
    Basic,
    /// A token (RFC 6750).
    Bearer,
}

/// A name and a password as a client has sent them. Its debug output leaves the password out.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BasicCredentials {
    /// The name, without a colon. May be empty.
    pub user: String,
    /// The password, in which colons may be. May be empty.
    pub password: String,
}

type Checking<Outcome> = Pin<Box<dyn Future<Output = Result<Outcome>> + Send>>;

#[derive(Clone)]
enum BasicCheck {
    Table(Vec<BasicCredentials>),
    By(Arc<dyn Fn(BasicCredentials) -> Checking<bool> + Send + Sync>),
}

#[derive(Clone)]
enum BearerCheck {
    /// Names and tokens.
    Table(Vec<(String, String)>),
    By(Arc<dyn Fn(String) -> Checking<Option<String>> + Send + Sync>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Required {
    Always,
    /// Who shows nothing comes in without an identity.
    IfShown,
}

impl Authentication {
    /// A check that knows nobody yet. The realm is the name under which a browser asks for the password and keeps
    /// it.
    ///
    /// # Panics
    /// Where the realm is not printable ASCII: how a client would read anything else is not defined.
    #[track_caller]
    pub fn new(realm: &str) -> Authentication {
        assert!(realm.bytes().all(|b| (b' '..=b'~').contains(&b)), "a realm is printable ASCII");
        Authentication {
            realm: realm.replace('\\', "\\\\").replace('"', "\\\""),
            basic: Vec::new(),
            bearer: Vec::new(),
            allow: None,
            required: Required::Always,
        }
    }

    /// Lets these users in, each with its password.
    ///
    /// # Panics
    /// Where a name has a colon in it, which no client could send.
    #[must_use]
    #[track_caller]
    pub fn basic_users<User: Into<String>, Password: Into<String>>(
        mut self,
        users: impl IntoIterator<Item = (User, Password)>,
    ) -> Authentication {
        let users = users.into_iter().map(|(user, password)| {
            let credentials = BasicCredentials { user: user.into(), password: password.into() };
            assert!(!credentials.user.contains(':'), "the name of a user has no colon in it");
            credentials
        });
        self.basic.push(BasicCheck::Table(users.collect()));
        self
    }

    /// Lets the users in for whom this function says so. An error of it is answered as one of a handler. Work that
    /// keeps a core busy, as hashes of passwords do, belongs on a thread for such work
    /// (`tokio::task::spawn_blocking`).
    ///
    /// ```
    /// use nethttp::middleware::{Authentication, BasicCredentials};
    ///
    /// async fn is_right(credentials: BasicCredentials) -> nethttp::Result<bool> {
    ///     // A real program asks its database here.
    ///     Ok(credentials.user == "ada" && credentials.password.len() > 20)
    /// }
    ///
    /// let authentication = Authentication::new("members").basic_by(is_right);
    /// ```
    #[must_use]
    pub fn basic_by<Check, Fut>(mut self, check: Check) -> Authentication
    where
        Check: Fn(BasicCredentials) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<bool>> + Send + 'static,
    {
        self.basic.push(BasicCheck::By(Arc::new(move |credentials| Box::pin(check(credentials)))));
        self
    }

    /// Lets these tokens in, each with the name of whom it belongs to: `("robot", "t0ken")`.
    ///
    /// # Panics
    /// Where a token is empty, or has characters that no token has (RFC 6750 §2.1).
    #[must_use]
    #[track_caller]
    pub fn bearer_tokens<Name: Into<String>, Token: Into<String>>(
        mut self,
        tokens: impl IntoIterator<Item = (Name, Token)>,
    ) -> Authentication {
        let tokens = tokens.into_iter().map(|(name, token)| {
            let token = token.into();
            assert!(is_bearer_token(&token), "a token is of ASCII letters, digits and -._~+/, with = at its end");
            (name.into(), token)
        });
        self.bearer.push(BearerCheck::Table(tokens.collect()));
        self
    }

    /// Lets the tokens in for which this function says whom they belong to; `None` is a token that is not valid,
    /// or not any more. An error of it is answered as one of a handler.
    #[must_use]
    pub fn bearer_by<Check, Fut>(mut self, check: Check) -> Authentication
    where
        Check: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<String>>> + Send + 'static,
    {
        self.bearer.push(BearerCheck::By(Arc::new(move |token| Box::pin(check(token)))));
        self
    }

    /// Responds with 403 to those for whom this function says no: they are known, and this is not for them. To a token
    /// the challenge says `insufficient_scope` (RFC 6750 §3.1).
    #[must_use]
    pub fn allow(mut self, allowed: impl Fn(&Identity, &Request) -> bool + Send + Sync + 'static) -> Authentication {
        self.allow = Some(Arc::new(allowed));
        self
    }

    /// Lets those in as well who show nothing: without an [`Identity`]. Wrong credentials are still refused with 401.
    /// Responses then name `Authorization` in `Vary`.
    #[must_use]
    pub fn optional(mut self) -> Authentication {
        self.required = Required::IfShown;
        self
    }
}

impl Middleware for Authentication {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        // Nobody but this middleware says who it is.
        r.extensions.remove::<Identity>();
        if self.required == Required::IfShown {
            w.before_head(|_, header| add_to_vary(header, &["Authorization"]));
        }
        let identity = match shown(&r.header) {
            Shown::Several => return Err(Error::answer(StatusCode::BAD_REQUEST, "more than one Authorization field")),
            Shown::Nothing if self.required == Required::IfShown => return next.run(w, r).await,
            Shown::Nothing | Shown::Other => return self.challenge(w, BearerProblem::None),
            Shown::Basic(credentials) => self.identify_user(credentials).await?,
            Shown::Bearer(token) => match self.identify_token(token).await? {
                Some(identity) => Some(identity),
                None => return self.challenge(w, BearerProblem::InvalidToken),
            },
        };
        let Some(identity) = identity else { return self.challenge(w, BearerProblem::None) };
        if self.allow.as_ref().is_some_and(|allow| !allow(&identity, r)) {
            return self.forbid(w, identity.scheme);
        }
        r.extensions.insert(identity);
        next.run(w, r).await
    }
}

/// What a challenge says of a token (RFC 6750 §3.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum BearerProblem {
    /// None was sent: then nothing is said.
    None,
    InvalidToken,
    InsufficientScope,
}

impl Authentication {
    async fn identify_user(&self, credentials: Option<BasicCredentials>) -> Result<Option<Identity>> {
        let Some(credentials) = credentials else { return Ok(None) };
        for check in &self.basic {
            let right = match check {
                BasicCheck::Table(users) => is_in(users, &credentials),
                BasicCheck::By(check) => check(credentials.clone()).await?,
            };
            if right {
                return Ok(Some(Identity { name: credentials.user, scheme: AuthScheme::Basic }));
            }
        }
        Ok(None)
    }

    async fn identify_token(&self, token: Option<String>) -> Result<Option<Identity>> {
        let Some(token) = token else { return Ok(None) };
        for check in &self.bearer {
            let owner = match check {
                BearerCheck::Table(tokens) => owner_in(tokens, &token),
                BearerCheck::By(check) => check(token.clone()).await?,
            };
            if let Some(name) = owner {
                return Ok(Some(Identity { name, scheme: AuthScheme::Bearer }));
            }
        }
        Ok(None)
    }

    fn challenge(&self, w: &mut ResponseWriter, problem: BearerProblem) -> Result<()> {
        let mut challenges = Vec::new();
        if !self.bearer.is_empty() {
            challenges.push(self.bearer_challenge(problem));
        }
        // Behind the other one: of several that they know, browsers take the first.
        if !self.basic.is_empty() {
            challenges.push(format!("Basic realm=\"{}\", charset=\"UTF-8\"", self.realm));
        }
        set_challenges(w, challenges);
        Err(Error::answer(StatusCode::UNAUTHORIZED, "show who you are"))
    }

    fn forbid(&self, w: &mut ResponseWriter, scheme: AuthScheme) -> Result<()> {
        if scheme == AuthScheme::Bearer {
            set_challenges(w, vec![self.bearer_challenge(BearerProblem::InsufficientScope)]);
        }
        Err(Error::answer(StatusCode::FORBIDDEN, "this is not for you"))
    }

    fn bearer_challenge(&self, problem: BearerProblem) -> String {
        let error = match problem {
            BearerProblem::None => "",
            BearerProblem::InvalidToken => ", error=\"invalid_token\"",
            BearerProblem::InsufficientScope => ", error=\"insufficient_scope\"",
        };
        format!("Bearer realm=\"{}\"{error}", self.realm)
    }
}

/// One line for each challenge: a list with commas in its members is read wrongly by some clients (RFC 9110
/// §11.6.1 warns of it).
fn set_challenges(w: &mut ResponseWriter, challenges: Vec<String>) {
    w.before_head(move |_, header| {
        header.del("WWW-Authenticate");
        for challenge in &challenges {
            header.add("WWW-Authenticate", challenge);
        }
    });
}

/// What a request shows; `None` within is what cannot be read.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Several,
    Basic(Option<BasicCredentials>),
    Bearer(Option<String>),
    Other,
}

fn shown(header: &Header) -> Shown {
    let mut fields = header.values_bytes("Authorization");
    let field = match (fields.next(), fields.next()) {
        (None, _) => return Shown::Nothing,
        (Some(_), Some(_)) => return Shown::Several,
        (Some(field), None) => field,
    };
    let Ok(field) = std::str::from_utf8(field) else { return Shown::Other };
    // RFC 9110 §11.4: one space or more behind the scheme, whose case does not matter.
    let (scheme, credentials) = field.split_once(' ').unwrap_or((field, ""));
    let credentials = credentials.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("Basic") {
        Shown::Basic(read_basic(credentials))
    } else if scheme.eq_ignore_ascii_case("Bearer") {
        Shown::Bearer(is_bearer_token(credentials).then(|| credentials.to_owned()))
    } else {
        Shown::Other
    }
}

/// RFC 7617 §2: Base64 of name, colon and password, without control characters. The first colon ends the name.
fn read_basic(credentials: &str) -> Option<BasicCredentials> {
    let decoded =
        STANDARD.decode(credentials).ok().filter(|decoded| !has_control(decoded) && !decoded.contains(&b'\t'))?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(BasicCredentials { user: user.to_owned(), password: password.to_owned() })
}

/// RFC 6750 §2.1, `b64token`.
fn is_bearer_token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

fn is_in(users: &[BasicCredentials], shown: &BasicCredentials) -> bool {
    users.iter().fold(false, |found, user| {
        // Both are compared, and no branch depends on the first: `&`, not `&&`.
        let is_user = is_same(shown.user.as_bytes(), user.user.as_bytes());
        let is_password = is_same(shown.password.as_bytes(), user.password.as_bytes());
        found | (is_user & is_password)
    })
}

fn owner_in(tokens: &[(String, String)], shown: &str) -> Option<String> {
    let owner = tokens.iter().fold(
        None,
        |owner, (name, token)| {
            if is_same(shown.as_bytes(), token.as_bytes()) { Some(name) } else { owner }
        },
    );
    owner.cloned()
}

/// Compares in a time that depends on the length of what was shown alone.
fn is_same(shown: &[u8], secret: &[u8]) -> bool {
    let mut difference = u8::from(shown.len() != secret.len());
    // The secret over and over, or a zero where it is empty: each byte that was shown is compared with one.
    let mut repeated = secret.iter().cycle();
    for &byte in shown {
        difference |= byte ^ repeated.next().copied().unwrap_or_default();
        // Else the compiler may see that nothing changes any more, and leave.
        difference = black_box(difference);
    }
    difference == 0
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("realm", &self.realm).finish_non_exhaustive()
    }
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicCredentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_by(values: &[&str]) -> Shown {
        shown(&values.iter().map(|value| ("Authorization", value)).collect())
    }

    fn basic(text: &[u8]) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn a_name_ends_at_the_first_colon_and_a_password_may_have_more() {
        for (text, user, password) in
            [("ada:sesame", "ada", "sesame"), ("ada:a:b:", "ada", "a:b:"), (":", "", ""), ("süß:päß", "süß", "päß")]
        {
            let credentials = BasicCredentials { user: user.into(), password: password.into() };
            assert_eq!(shown_by(&[&basic(text.as_bytes())]), Shown::Basic(Some(credentials)), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_and_password_is_a_wrong_one() {
        for text in [&b"ada"[..], b"", b"a\xFCda:x", b"ada:\n", b"ada:a\tb", b"ada\0:b"] {
            assert_eq!(shown_by(&[&basic(text)]), Shown::Basic(None), "{text:?}");
        }
        for field in ["Basic", "Basic ", "Basic !", "Basic YWRhOng", "Basic YWRh Ong=", "Basic YWRhOng=\u{e9}"] {
            assert_eq!(shown_by(&[field]), Shown::Basic(None), "{field}");
        }
    }

    #[test]
    fn schemes_are_known_in_any_case_and_behind_any_number_of_spaces() {
        let credentials = BasicCredentials { user: "a".into(), password: "b".into() };
        for field in ["Basic YTpi", "basic YTpi", "BASIC   YTpi"] {
            assert_eq!(shown_by(&[field]), Shown::Basic(Some(credentials.clone())), "{field}");
        }
        assert_eq!(shown_by(&["bEARER  a-._~+/1=="]), Shown::Bearer(Some("a-._~+/1==".into())));
        for field in ["Bearer", "Bearer =", "Bearer a=b", "Bearer a,b", "Bearer a b", "Bearer \"a\""] {
            assert_eq!(shown_by(&[field]), Shown::Bearer(None), "{field}");
        }
        assert_eq!(shown_by(&["Digest username=\"a\""]), Shown::Other);
        assert_eq!(shown_by(&["BasicYTpi"]), Shown::Other);
    }

    #[test]
    fn two_fields_are_not_chosen_from() {
        assert_eq!(shown_by(&[]), Shown::Nothing);
        assert_eq!(shown_by(&["Basic YTpi", "Basic YTpi"]), Shown::Several);
    }

    #[test]
    fn only_what_is_the_same_is_the_same() {
        for (shown, secret, same) in [
            ("", "", true),
            ("a", "", false),
            ("", "a", false),
            ("a", "a", true),
            ("aa", "a", false),
            ("a", "aa", false),
            ("\0", "", false),
            ("ab", "ba", false),
            ("sesame", "sesame", true),
            ("sesamesesame", "sesame", false),
        ] {
            assert_eq!(is_same(shown.as_bytes(), secret.as_bytes()), same, "{shown:?} and {secret:?}");
        }
    }
}
