//! Passwords: which users may read the files, and how a password is stored.
//!
//! A password stands on the command line as `pbkdf2-sha256:ROUNDS:SALT:HASH`. To try one takes some
//! milliseconds, on purpose: an attacker who has the hash needs as long for each guess. A browser sends
//! its password with every request, so the one that was right is remembered, in a form that is of no
//! use elsewhere.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::io::{BufRead as _, Write as _};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::{Context as _, anyhow};
use aws_lc_rs::{hmac, pbkdf2, rand};
use clap::Args;
use tokio::sync::{OnceCell, Semaphore};

/// Hash a password for `serve --auth`
///
/// The password is one line of standard input; the hash goes to standard output:
///
///     nethttp serve --auth "anna:$(nethttp hash)"
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct HashArguments {
    /// How long a try takes: twice the rounds, twice the time
    #[arg(long, default_value_t = DEFAULT_ROUNDS_COUNT)]
    rounds: NonZeroU32,
}

const DEFAULT_ROUNDS_COUNT: NonZeroU32 = NonZeroU32::new(200_000).expect("it is no zero");
const HASH: pbkdf2::Algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// Reads a password and prints its hash.
pub(crate) fn run(arguments: &HashArguments) -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    if std::io::IsTerminal::is_terminal(&stdin) {
        eprint!("Password (it is shown): ");
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).context("cannot read the password")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(anyhow!("there is no password on standard input"));
    }
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt).map_err(|_| anyhow!("the system gives no random bytes"))?;
    writeln!(std::io::stdout(), "{}", Hashed::new(password, arguments.rounds, salt.to_vec()))?;
    Ok(())
}

/// A password as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hashed {
    rounds: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Hashed {
    fn new(password: &str, rounds: NonZeroU32, salt: Vec<u8>) -> Hashed {
        let mut hash = vec![0; HASH_BYTES];
        pbkdf2::derive(HASH, rounds, &salt, password.as_bytes(), &mut hash);
        Hashed { rounds, salt, hash }
    }

    /// Compares in constant time.
    fn is_of(&self, password: &str) -> bool {
        pbkdf2::verify(HASH, self.rounds, &self.salt, password.as_bytes(), &self.hash).is_ok()
    }
}

impl Display for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pbkdf2-sha256:{}:{}:{}", self.rounds, hex(&self.salt), hex(&self.hash))
    }
}

impl FromStr for Hashed {
    type Err = ();

    fn from_str(text: &str) -> Result<Hashed, ()> {
        let mut parts = text.split(':');
        let (Some("pbkdf2-sha256"), Some(rounds), Some(salt), Some(hash), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        let hashed = Hashed { rounds: rounds.parse().map_err(drop)?, salt: unhex(salt)?, hash: unhex(hash)? };
        if hashed.hash.len() == HASH_BYTES { Ok(hashed) } else { Err(()) }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, ()> {
    if !text.is_ascii() || text.len() % 2 != 0 {
        return Err(());
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(drop)).collect()
}

/// A user and the hash of its password, as `USER:HASH` on the command line.
#[derive(Clone, Debug)]
pub(crate) struct User {
    name: String,
    password: Hashed,
}

impl FromStr for User {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<User, &'static str> {
        const FORM: &str = "write USER:HASH, with a hash that `nethttp hash` has made";
        let (name, hash) = text.split_once(':').ok_or(FORM)?;
        let password = hash.parse().map_err(|()| FORM)?;
        if name.is_empty() { Err(FORM) } else { Ok(User { name: name.to_owned(), password }) }
    }
}

/// The users of `--auth`, and the checks of their passwords.
///
/// A check takes a core for some milliseconds, and any client can cause one. Two run at a time, so that
/// the files are still served; some more wait; beyond those the answer is "not now", at once. A
/// password that was right before needs no check, so its user comes in however many strangers wait. A
/// browser that loads a page sends the same password with many requests at a time: they share a check.
pub(crate) struct Accounts {
    accounts: Vec<Account>,
    /// Random, and of this process alone: codes made with it are of no use elsewhere.
    key: hmac::Key,
    /// Checks that wait or run.
    pending: Semaphore,
    running: Arc<Semaphore>,
}

struct Account {
    user: User,
    /// A code of the password that was right, under the key.
    right: Mutex<Option<hmac::Tag>>,
    /// The checks under way, by a code of the password. Each belongs to the requests that wait for it.
    checks: Mutex<HashMap<Vec<u8>, Weak<OnceCell<bool>>>>,
}

/// Too many checks wait already.
#[derive(Debug)]
struct Busy;

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Accepted,
    Refused,
    /// Too many wait already; this one was not checked.
    Busy,
}

const MAX_RUNNING_CHECKS_COUNT: usize = 2;
/// Some seconds of work with the usual rounds: as long as a person waits.
const MAX_PENDING_CHECKS_COUNT: usize = 64;

impl Accounts {
    pub(crate) fn new(users: &[User]) -> anyhow::Result<Accounts> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
            .map_err(|_| anyhow!("the system gives no random bytes"))?;
        Ok(Accounts {
            accounts: users.iter().map(Account::new).collect(),
            key,
            pending: Semaphore::new(MAX_PENDING_CHECKS_COUNT),
            running: Arc::new(Semaphore::new(MAX_RUNNING_CHECKS_COUNT)),
        })
    }

    /// Whether this user has this password. The time that it takes does not depend on the password.
    pub(crate) async fn log_in(&self, name: &str, password: &str) -> Login {
        let Some(account) = self.accounts.iter().find(|account| account.user.name == name) else {
            // An unknown user takes as long as a known one, so that the time does not show which users exist.
            return match self.accounts.first() {
                Some(other) if self.check(other, password).await == Login::Busy => Login::Busy,
                _ => Login::Refused,
            };
        };
        if self.is_remembered(account, password) {
            return Login::Accepted;
        }
        let login = self.check(account, password).await;
        if login == Login::Accepted {
            let code = hmac::sign(&self.key, password.as_bytes());
            *account.right.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        }
        login
    }

    async fn check(&self, account: &Account, password: &str) -> Login {
        let code = hmac::sign(&self.key, password.as_bytes());
        let check = account.check_under_way(code.as_ref());
        // If the request that runs it is given up, another one that waits runs it anew.
        match check.get_or_try_init(|| self.run_check(account, password)).await {
            Ok(true) => Login::Accepted,
            Ok(false) => Login::Refused,
            Err(Busy) => Login::Busy,
        }
    }

    async fn run_check(&self, account: &Account, password: &str) -> Result<bool, Busy> {
        let _pending = self.pending.try_acquire().map_err(|_| Busy)?;
        let running = self.running.clone().acquire_owned().await.map_err(|_| Busy)?;
        let (hashed, password) = (account.user.password.clone(), password.to_owned());
        let check = move || {
            // A blocking task runs to its end even if its request is given up. Held here, the permit is
            // only given back then.
            let _running = running;
            hashed.is_of(&password)
        };
        Ok(tokio::task::spawn_blocking(check).await.unwrap_or(false))
    }

    /// Compares in constant time.
    fn is_remembered(&self, account: &Account, password: &str) -> bool {
        let right = *account.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.is_some_and(|right| hmac::verify(&self.key, password.as_bytes(), right.as_ref()).is_ok())
    }
}

impl Account {
    fn new(user: &User) -> Account {
        Account { user: user.clone(), right: Mutex::default(), checks: Mutex::default() }
    }

    /// The check of this password that others wait for, or a new one.
    fn check_under_way(&self, code: &[u8]) -> Arc<OnceCell<bool>> {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        // Few are left: no more than run and wait, and those that are about to be refused.
        checks.retain(|_, check| check.strong_count() > 0);
        if let Some(check) = checks.get(code).and_then(Weak::upgrade) {
            return check;
        }
        let check = Arc::default();
        checks.insert(code.to_vec(), Arc::downgrade(&check));
        check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: NonZeroU32 = NonZeroU32::new(10).expect("it is no zero");

    fn user(name: &str, password: &str) -> User {
        format!("{name}:{}", Hashed::new(password, FEW, b"salt".to_vec())).parse().unwrap()
    }

    #[test]
    fn a_hash_is_that_of_the_standard_and_reads_back() {
        // RFC 7914 §11, cut to what is kept here.
        let hashed = Hashed::new("passwd", NonZeroU32::MIN, b"salt".to_vec());
        let written = "pbkdf2-sha256:1:73616c74:55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc";
        assert_eq!(hashed.to_string(), written);
        assert_eq!(written.parse(), Ok(hashed.clone()));
        assert!(hashed.is_of("passwd") && !hashed.is_of("Passwd") && !hashed.is_of(""));
    }

    #[test]
    fn what_is_no_user_with_a_hash_is_refused() {
        let hash = Hashed::new("a", FEW, b"salt".to_vec());
        for text in ["", "anna", "anna:secret", "anna:pbkdf2-sha256:0:aa:bb", "anna:pbkdf2-sha256:1:zz:bb"] {
            assert!(text.parse::<User>().is_err(), "{text}");
        }
        assert!(format!(":{hash}").parse::<User>().is_err());
        assert!(format!("anna:{hash}00").parse::<User>().is_err());
        assert!(format!("anna:{hash}").parse::<User>().is_ok());
    }

    #[tokio::test]
    async fn each_user_is_let_in_with_the_own_password_each_time() {
        let accounts = Accounts::new(&[user("anna", "a"), user("ben", "b")]).unwrap();
        for _ in 0..2 {
            for (name, password) in [("anna", "a"), ("ben", "b")] {
                assert_eq!(accounts.log_in(name, password).await, Login::Accepted);
            }
            for (name, password) in [("anna", "b"), ("ben", "a"), ("anna", ""), ("carl", "a"), ("", "")] {
                assert_eq!(accounts.log_in(name, password).await, Login::Refused, "{name} {password}");
            }
        }
    }

    #[tokio::test]
    async fn no_more_checks_wait_than_allowed_and_who_was_in_before_comes_in() {
        use std::future::Future as _;
        use std::task::{Context, Poll, Waker};

        let accounts = Accounts::new(&[user("anna", "a"), user("ben", "b")]).unwrap();
        assert_eq!(accounts.log_in("anna", "a").await, Login::Accepted);
        let permits = u32::try_from(MAX_RUNNING_CHECKS_COUNT).unwrap();
        let running = accounts.running.acquire_many(permits).await.unwrap();
        let guesses: Vec<String> = (0..MAX_PENDING_CHECKS_COUNT).map(|number| number.to_string()).collect();
        let mut waiting: Vec<_> = guesses.iter().map(|guess| Box::pin(accounts.log_in("ben", guess))).collect();
        for login in &mut waiting {
            assert!(login.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        for (name, login) in [("ben", Login::Busy), ("carl", Login::Busy), ("anna", Login::Accepted)] {
            let mut next = Box::pin(accounts.log_in(name, "a"));
            assert_eq!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(login), "{name}");
        }
        // Who leaves makes room for another.
        waiting.pop();
        waiting.push(Box::pin(accounts.log_in("ben", "b")));
        drop(running);
        // In the order in which they came: so they get their permits.
        let last = waiting.pop().unwrap();
        for login in waiting {
            assert_eq!(login.await, Login::Refused);
        }
        assert_eq!(last.await, Login::Accepted);
    }

    #[tokio::test]
    async fn many_requests_with_one_password_share_a_check() {
        use std::future::Future as _;
        use std::task::{Context, Waker};

        let accounts = Accounts::new(&[user("anna", "a")]).unwrap();
        let permits = u32::try_from(MAX_RUNNING_CHECKS_COUNT).unwrap();
        let running = accounts.running.acquire_many(permits).await.unwrap();
        let mut page: Vec<_> = (0..1000).map(|_| Box::pin(accounts.log_in("anna", "a"))).collect();
        for login in &mut page {
            assert!(login.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(accounts.pending.available_permits(), MAX_PENDING_CHECKS_COUNT - 1);
        // The one that began it leaves; another one takes it over.
        drop(page.remove(0));
        drop(running);
        for login in page {
            assert_eq!(login.await, Login::Accepted);
        }
        let guess = accounts.log_in("anna", "b");
        assert_eq!(guess.await, Login::Refused);
        assert_eq!(accounts.accounts[0].checks.lock().unwrap().len(), 1, "the last one, and none before");
    }
}
