//! Sessions by cookie: sign in with a form, a page for those who have, sign out; forged requests are refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::cookie::SameSite;
use nethttp::middleware::{CrossOriginProtection, RequestId};
use nethttp::{
    Cookie, Error, Request, ResponseWriter, Result, ServeMux, StatusCode, handle_with, redirect, set_cookie,
};

struct Accounts {
    passwords: HashMap<&'static str, &'static str>,
    sessions: Mutex<HashMap<String, String>>,
}

const COOKIE: &str = "__Host-session";

impl Accounts {
    fn user(&self, r: &Request) -> Option<String> {
        self.sessions.lock().unwrap().get(&r.cookie(COOKIE)?.value).cloned()
    }

    async fn sign_in(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let form = r.post_form().await?;
        let user = form
            .get("user")
            .filter(|&user| self.passwords.get(user).is_some_and(|&password| form.get("password") == Some(password)));
        let Some(user) = user else {
            return Err(Error::answer(StatusCode::FORBIDDEN, "no such user, or another password"));
        };
        // A UUID with 62 random bits; a session of more worth takes a longer one.
        let id = RequestId::of(r).unwrap_or_default().to_owned();
        self.sessions.lock().unwrap().insert(id.clone(), user.to_owned());
        start_session(w, id, Duration::from_secs(3600))?;
        redirect(w, r, "/", StatusCode::SEE_OTHER).await
    }

    async fn home(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        match self.user(r) {
            Some(user) => w.write(format!("hello, {user}\n")).await,
            None => w.error(StatusCode::UNAUTHORIZED, "sign in first").await,
        }
    }

    async fn sign_out(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if let Some(cookie) = r.cookie(COOKIE) {
            self.sessions.lock().unwrap().remove(&cookie.value);
        }
        start_session(w, String::new(), Duration::ZERO)?;
        redirect(w, r, "/", StatusCode::SEE_OTHER).await
    }
}

fn start_session(w: &mut ResponseWriter, id: String, max_age: Duration) -> Result<()> {
    let cookie = Cookie {
        path: "/".into(),
        max_age: Some(max_age),
        http_only: true,
        secure: true,
        same_site: SameSite::Lax,
        ..Cookie::new(COOKIE, id)
    };
    set_cookie(w.header(), &cookie)
}

fn service() -> ServeMux {
    let accounts = Accounts { passwords: HashMap::from([("anna", "secret")]), sessions: Mutex::default() };
    let (mux, accounts) = (ServeMux::new(), Arc::new(accounts));
    mux.handle("GET /{$}", handle_with(accounts.clone(), Accounts::home));
    mux.handle("POST /sign-in", handle_with(accounts.clone(), Accounts::sign_in));
    mux.handle("POST /sign-out", handle_with(accounts, Accounts::sign_out));
    mux.wrap(CrossOriginProtection::new());
    mux.wrap(RequestId::new());
    mux
}

// ------------------------------------------------------------ tried

#[tokio::test(start_paused = true)]
async fn a_session_lasts_from_sign_in_to_sign_out() {
    let server = nethttp::testing::Server::builder(service()).in_memory().tls().start();
    let mut client = server.client();
    client.jar = Some(Arc::new(nethttp::cookie::Jar::new()));
    let url = |path: &str| format!("{}{path}", server.url());
    let home = async || client.get(url("/")).await.unwrap().text().await.unwrap();
    assert!(home().await.contains("sign in first"));
    let sign_in = async |password| client.post_form(url("/sign-in"), [("user", "anna"), ("password", password)]).await;
    assert_eq!(sign_in("wrong").await.unwrap().status.as_u16(), 403);
    assert_eq!(sign_in("secret").await.unwrap().text().await.unwrap(), "hello, anna\n");
    assert_eq!(home().await, "hello, anna\n");
    let forged = Request::post(url("/sign-out"), "").unwrap().with_header("Sec-Fetch-Site", "cross-site");
    assert_eq!(client.send(forged).await.unwrap().status.as_u16(), 403);
    assert_eq!(home().await, "hello, anna\n");
    client.post_form(url("/sign-out"), [("", ""); 0]).await.unwrap();
    assert!(home().await.contains("sign in first"));
}
