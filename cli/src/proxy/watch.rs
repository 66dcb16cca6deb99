//! Says on standard error when a server gets no more requests, and when it gets them again.

use std::collections::HashMap;
use std::time::Duration;

use nethttp::reverse_proxy::UpstreamHealth;

use super::front::Front;
use crate::lines::put_line;

/// What lasts for less is not worth a line.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Looks at all servers, again and again. Never returns.
pub(super) async fn tell_changes(front: Front) {
    let mut known = HashMap::new();
    loop {
        known = told(&front, &known);
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// How each server is, by its route and name.
type Known = HashMap<(String, String), bool>;

fn told(front: &Front, known: &Known) -> Known {
    let mut found = Known::new();
    for route in front.current().routes() {
        for stats in route.upstreams.stats() {
            let is_up = stats.health == UpstreamHealth::Up;
            let key = (route.pattern.as_deref().unwrap_or_default().to_owned(), stats.name);
            // One that has just come is well until it shows something else.
            if known.get(&key).copied().unwrap_or(true) != is_up {
                put_line(&format!("nethttp: {}", line(&key.1, stats.health)));
            }
            found.insert(key, is_up);
        }
    }
    found
}

fn line(name: &str, health: UpstreamHealth) -> String {
    match health {
        UpstreamHealth::Up => format!("{name} gets requests again"),
        UpstreamHealth::Out(left) => {
            format!("{name} has failed and is left out for {:.0} s", left.as_secs_f64().ceil())
        }
        UpstreamHealth::CheckFailed => format!("{name} fails its health check and gets no requests"),
        _ => format!("{name} gets no more requests"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_has_become_of_a_server() {
        let out = line("http://a", UpstreamHealth::Out(Duration::from_millis(9_800)));
        assert_eq!(out, "http://a has failed and is left out for 10 s");
        assert_eq!(line("http://a", UpstreamHealth::Up), "http://a gets requests again");
    }
}
