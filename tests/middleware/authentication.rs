//! `Authentication`: who comes in, and what the others are told.

use nethttp::middleware::{AuthScheme, Authentication, BasicCredentials, Identity};
use nethttp::{Error, Method, Next, Request, ResponseWriter, Result, ServeMux};

use crate::site::{Site, in_all_modes, whole};
use crate::{Fields, answer, ask, field, get};

/// Answers who it is.
async fn who(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    match r.extensions.get::<Identity>() {
        Some(identity) => w.write(format!("{} by {:?}", identity.name, identity.scheme)).await,
        None => w.write("nobody").await,
    }
}

fn site(mode: crate::site::Mode, authentication: Authentication) -> Site {
    let mux = ServeMux::new();
    mux.handle("GET /{$}", who);
    mux.handle("/", answer);
    mux.wrap(authentication);
    Site::start(mode, mux)
}

const ADA: (&str, &str) = ("Authorization", "Basic YWRhOnNlOnNhbWU="); // ada:se:same
const WRONG: (&str, &str) = ("Authorization", "Basic YWRhOm5v"); // ada:no
const STRANGER: (&str, &str) = ("Authorization", "Basic ZXZlOnNlOnNhbWU="); // eve:se:same
const ROBOT: (&str, &str) = ("Authorization", "Bearer t0ken");
const FORGED: (&str, &str) = ("Authorization", "Bearer t0ken2");

fn both() -> Authentication {
    Authentication::new("the \"members\\").basic_users([("ada", "se:same")]).bearer_tokens([("robot", "t0ken")])
}

#[tokio::test(start_paused = true)]
async fn a_password_and_a_token_let_in_and_tell_the_handler_who_it_is() {
    in_all_modes(async |mode| {
        let site = site(mode, both());
        assert_eq!(whole(Ok(get(&site, "/", &[ADA]).await)).await, (200, "ada by Basic".into()));
        assert_eq!(whole(Ok(get(&site, "/", &[ROBOT]).await)).await, (200, "robot by Bearer".into()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn all_others_are_challenged_once_for_each_scheme() {
    const BASIC: &str = "Basic realm=\"the \\\"members\\\\\", charset=\"UTF-8\"";
    const BEARER: &str = "Bearer realm=\"the \\\"members\\\\\"";
    const INVALID: &str = "Bearer realm=\"the \\\"members\\\\\", error=\"invalid_token\"";
    in_all_modes(async |mode| {
        let site = site(mode, both());
        let cases: [(Fields<'_>, &str); 6] = [
            (&[], BEARER),
            (&[WRONG], BEARER),
            (&[STRANGER], BEARER),
            (&[("Authorization", "Digest username=\"ada\"")], BEARER),
            (&[FORGED], INVALID),
            (&[("Authorization", "Bearer")], INVALID),
        ];
        for (fields, bearer) in cases {
            // A path that panics: no handler is reached.
            let response = get(&site, "/panic", fields).await;
            assert_eq!(response.status.as_u16(), 401, "{fields:?}");
            let challenges: Vec<&str> = response.header.values("WWW-Authenticate").collect();
            assert_eq!(challenges, [bearer, BASIC], "{fields:?}");
        }
        let response = get(&site, "/", &[ADA, ADA]).await;
        assert_eq!(response.status.as_u16(), 400, "two fields are not chosen from");
        assert_eq!(get(&site, "/", &[ADA]).await.status.as_u16(), 200);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_is_known_and_may_not_is_told_so() {
    in_all_modes(async |mode| {
        let readers = both().allow(|identity, r| r.method == Method::GET || identity.name == "root");
        let site = site(mode, readers);
        assert_eq!(get(&site, "/x", &[ADA]).await.status.as_u16(), 200);
        let response = ask(&site, Method::DELETE, "/panic", &[ADA]).await;
        assert_eq!((response.status.as_u16(), response.header.contains("WWW-Authenticate")), (403, false));
        let response = ask(&site, Method::DELETE, "/panic", &[ROBOT]).await;
        assert_eq!(response.status.as_u16(), 403);
        assert!(field(&response.header, "WWW-Authenticate").ends_with("error=\"insufficient_scope\""));
        assert_eq!(ask(&site, Method::DELETE, "/panic", &[WRONG]).await.status.as_u16(), 401);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_it_is_optional_nothing_lets_in_and_something_wrong_does_not() {
    in_all_modes(async |mode| {
        // An identity that something around has left is not believed.
        async fn forge(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
            let inner = r.extensions.remove::<Identity>();
            assert_eq!(inner, None);
            next.run(w, r).await
        }
        let mux = ServeMux::new();
        mux.handle("GET /", who);
        mux.wrap(forge);
        mux.wrap(both().optional());
        let site = Site::start(mode, mux);
        let response = get(&site, "/", &[]).await;
        assert_eq!(field(&response.header, "Vary"), "Authorization");
        assert_eq!(whole(Ok(response)).await, (200, "nobody".into()));
        assert_eq!(whole(Ok(get(&site, "/", &[ADA]).await)).await, (200, "ada by Basic".into()));
        assert_eq!(get(&site, "/", &[WRONG]).await.status.as_u16(), 401);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_function_decides_and_its_error_is_no_refusal() {
    in_all_modes(async |mode| {
        let by_user = async |credentials: BasicCredentials| match credentials.user.as_str() {
            "broken" => Err(Error::other("the database is gone")),
            user => Ok(credentials.password == user),
        };
        let by_token = async |token: String| Ok(token.strip_prefix("of-").map(str::to_owned));
        let site = site(mode, Authentication::new("x").basic_by(by_user).bearer_by(by_token));
        for (authorization, answer) in [
            ("Basic dTp1", (200, "u by Basic")), // u:u
            ("Basic dTp2", (401, "")),           // u:v
            ("Basic YnJva2VuOng=", (500, "")),   // broken:x
            ("Bearer of-ada", (200, "ada by Bearer")),
            ("Bearer ada", (401, "")),
        ] {
            let (status, text) = whole(Ok(get(&site, "/", &[("Authorization", authorization)]).await)).await;
            assert_eq!(status, answer.0, "{authorization}");
            assert!(text.contains(answer.1) && !text.contains("database"), "{authorization}: {text}");
        }
    })
    .await;
}

#[test]
fn a_password_is_in_no_debug_output() {
    let authentication = both().basic_by(async |credentials: BasicCredentials| {
        assert!(!format!("{credentials:?}").contains("same"));
        Ok(true)
    });
    assert!(!format!("{authentication:?}").contains("same"));
    assert_eq!(AuthScheme::Basic, AuthScheme::Basic);
}

#[test]
fn what_no_client_could_send_is_refused_when_it_is_named() {
    for make in [
        (|| Authentication::new("r\u{e9}alm")) as fn() -> Authentication,
        || Authentication::new("a\nb"),
        || Authentication::new("x").basic_users([("a:b", "c")]),
        || Authentication::new("x").bearer_tokens([("a", "")]),
        || Authentication::new("x").bearer_tokens([("a", "b c")]),
    ] {
        assert!(std::panic::catch_unwind(make).is_err());
    }
}
