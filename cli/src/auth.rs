//! Passwords: who may come in, and how a password is written down.
//!
//! A password stands on the command line as `pbkdf2-sha256:ROUNDS:SALT:HASH`. To try one takes
//! some milliseconds, which is the point: whoever reads the hash needs as long for each guess. A
//! browser sends its password with every request, so the one that was right is remembered, in a
//! form that is of no use elsewhere.

use std::fmt::{self, Display};
use std::io::{BufRead as _, Write as _};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use aws_lc_rs::{hmac, pbkdf2, rand};
use clap::Args;
use tokio::sync::Semaphore;

/// Hash a password for `serve --auth`
///
/// The password is one line of standard input; the hash goes to standard output:
///
///     nethttp serve --auth "anna:$(nethttp hash)"
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// How long a try takes: twice the rounds, twice the time
    #[arg(long, default_value_t = ROUNDS)]
    rounds: NonZeroU32,
}

const ROUNDS: NonZeroU32 = NonZeroU32::new(200_000).expect("it is no zero");
const HASH: pbkdf2::Algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// Reads a password and prints its hash.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
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

/// One who may come in: `USER:HASH`.
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

/// All who may come in.
pub(crate) struct Guests {
    users: Vec<Known>,
    /// Of this process alone.
    key: hmac::Key,
    /// Guesses take a while; no more of them run at a time, so that they leave the others room.
    guesses: Semaphore,
}

struct Known {
    user: User,
    /// A code of the password that was right, under the key.
    right: Mutex<Option<hmac::Tag>>,
}

const GUESSES_AT_A_TIME: usize = 2;

impl Guests {
    pub(crate) fn new(users: &[User]) -> anyhow::Result<Guests> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
            .map_err(|_| anyhow!("the system gives no random bytes"))?;
        let users = users.iter().map(|user| Known { user: user.clone(), right: Mutex::default() }).collect();
        Ok(Guests { users, key, guesses: Semaphore::new(GUESSES_AT_A_TIME) })
    }

    /// Whether this user has this password. How long it takes tells nothing of the password.
    pub(crate) async fn admits(&self, name: &str, password: &str) -> bool {
        let Some(known) = self.users.iter().find(|known| known.user.name == name) else {
            // As long as for somebody who is known: nor does it tell who that is.
            if let Some(somebody) = self.users.first() {
                self.is_right(somebody, password).await;
            }
            return false;
        };
        if self.is_remembered(known, password) {
            return true;
        }
        let is_right = self.is_right(known, password).await;
        if is_right {
            let code = hmac::sign(&self.key, password.as_bytes());
            *known.right.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        }
        is_right
    }

    async fn is_right(&self, known: &Known, password: &str) -> bool {
        let Ok(_turn) = self.guesses.acquire().await else { return false };
        let (hashed, guess) = (known.user.password.clone(), password.to_owned());
        tokio::task::spawn_blocking(move || hashed.is_of(&guess)).await.unwrap_or(false)
    }

    /// Compares in constant time.
    fn is_remembered(&self, known: &Known, password: &str) -> bool {
        let right = *known.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.is_some_and(|right| hmac::verify(&self.key, password.as_bytes(), right.as_ref()).is_ok())
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
    async fn each_comes_in_with_their_own_password_again_and_again() {
        let guests = Guests::new(&[user("anna", "a"), user("ben", "b")]).unwrap();
        for _ in 0..2 {
            assert!(guests.admits("anna", "a").await && guests.admits("ben", "b").await);
            for (name, password) in [("anna", "b"), ("ben", "a"), ("anna", ""), ("carl", "a"), ("", "")] {
                assert!(!guests.admits(name, password).await, "{name} {password}");
            }
        }
    }
}
