//! A route as it is listed.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::pattern::Pattern;

/// A route of a [`ServeMux`](crate::ServeMux), as [`ServeMux::routes`](crate::ServeMux::routes) lists it.
///
/// It is displayed as its pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pattern: Arc<str>,
    method: Option<Box<str>>,
    location: &'static Location<'static>,
}

impl Route {
    pub(super) fn of(pattern: &Pattern) -> Route {
        Route { pattern: pattern.text.clone(), method: pattern.method.clone(), location: pattern.location }
    }

    /// The whole pattern, as [`Request::pattern`](crate::Request::pattern) has it.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The method that it is for; `None` where it is for every one. GET is for HEAD too.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The host that it is for, as it was written; empty where it is for every one.
    pub fn host(&self) -> &str {
        let target = self.target();
        target.split_once('/').map_or(target, |(host, _)| host)
    }

    /// The path of the pattern, with its wildcards.
    pub fn path(&self) -> &str {
        let target = self.target();
        target.get(self.host().len()..).unwrap_or_default()
    }

    /// Where in the program it was registered.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// Host and path.
    fn target(&self) -> &str {
        let after_method = self.pattern.split_once([' ', '\t']).map_or(&*self.pattern, |(_, target)| target);
        after_method.trim_start_matches([' ', '\t'])
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}
