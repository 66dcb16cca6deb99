//! Options from a file: TOML, by the names of the command line.
//!
//! A file is turned into options as they would be written, so that both are checked by the same code: each one by
//! itself first, where a mistake has a line, and then all together with those of the command line.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::options::ProxyArguments;

/// An option of the file, as on the command line.
struct FileOption {
    name: String,
    line: usize,
    arguments: Vec<String>,
}

/// These arguments, with those of the file that they name. The arguments are those behind `proxy`.
///
/// # Errors
/// All that is wrong, a line for each.
pub(super) fn complete(arguments: &[OsString]) -> anyhow::Result<ProxyArguments> {
    let matches = command().try_get_matches_from(arguments)?;
    let given = ProxyArguments::from_arg_matches(&matches)?;
    let Some(path) = &given.config else { return checked(given, |_| String::new()) };
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let options = read(path, &text)?;
    let lines: HashMap<String, usize> = options.iter().map(|option| (option.name.clone(), option.line)).collect();
    let of_file = options.into_iter().filter(|option| !is_given(&matches, &option.name));
    let of_file = of_file.flat_map(|option| option.arguments).map(OsString::from);
    let all: Vec<OsString> = of_file.chain(arguments.iter().cloned()).collect();
    let all = ProxyArguments::from_arg_matches(&command().try_get_matches_from(all)?)?;
    checked(all, |option| lines.get(option).map_or(String::new(), |line| format!("{}:{line}: ", path.display())))
}

fn checked(arguments: ProxyArguments, place: impl Fn(&str) -> String) -> anyhow::Result<ProxyArguments> {
    match arguments.contradiction() {
        None => Ok(arguments),
        Some(wrong) => Err(anyhow!("{}{}", place(wrong.option), wrong.message)),
    }
}

fn command() -> Command {
    ProxyArguments::augment_args(Command::new("nethttp proxy").no_binary_name(true))
}

/// Whether the command line says it, and not the default.
fn is_given(matches: &ArgMatches, name: &str) -> bool {
    let command = command();
    let found = command.get_arguments().find(|argument| argument.get_long() == Some(name));
    let id = found.map(|argument| argument.get_id().as_str());
    id.is_some_and(|id| matches.value_source(id) == Some(ValueSource::CommandLine))
}

/// The options of a file, each of them right by itself.
fn read(path: &Path, text: &str) -> anyhow::Result<Vec<FileOption>> {
    let line_of = |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
    let place = |line: usize| format!("{}:{line}: ", path.display());
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        anyhow!("{}{}", place(line), error.message())
    })?;
    let mut options = Vec::new();
    let mut wrong = Vec::new();
    for (name, value) in table.get_ref() {
        let line = line_of(name.span().start);
        match option(name.get_ref(), value, &line_of) {
            Ok(parts) => {
                let lines = parts.iter().map(|(line, _)| *line).min().unwrap_or(line);
                wrong.extend(
                    parts.iter().filter_map(|(at, argument)| Some(format!("{}{}", place(*at), problem(argument)?))),
                );
                let arguments = parts.into_iter().map(|(_, argument)| argument).collect();
                options.push(FileOption { name: name.get_ref().to_string(), line: lines, arguments });
            }
            Err(message) => wrong.push(format!("{}{message}", place(line))),
        }
    }
    wrong.sort_by_key(|message| line_in(message));
    if wrong.is_empty() { Ok(options) } else { Err(anyhow!("{}", wrong.join("\nnethttp: "))) }
}

/// The number between the first two colons of what was made above.
fn line_in(message: &str) -> usize {
    message.split(':').find_map(|part| part.parse().ok()).unwrap_or_default()
}

/// What it comes to on the command line, with the line of each.
fn option(
    name: &str,
    value: &Spanned<DeValue<'_>>,
    line_of: &impl Fn(usize) -> usize,
) -> Result<Vec<(usize, String)>, String> {
    let command = command();
    let is_own = |argument: &&clap::Arg| argument.get_long() == Some(name);
    if matches!(name, "config" | "check" | "help") || !command.get_arguments().any(|argument| is_own(&argument)) {
        let names: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        let mut near = names.into_iter().filter(|other| is_near(name, other)).map(|near| format!("; is it {near}?"));
        return Err(format!("there is no option {name}{}", near.next().unwrap_or_default()));
    }
    let line = line_of(value.span().start);
    match value.get_ref() {
        DeValue::Boolean(true) => Ok(vec![(line, format!("--{name}"))]),
        DeValue::Boolean(false) => Ok(Vec::new()),
        DeValue::Array(values) => {
            let each = values.iter().map(|value| option(name, value, line_of));
            each.collect::<Result<Vec<_>, String>>().map(|each| each.into_iter().flatten().collect())
        }
        DeValue::String(text) => Ok(vec![(line, format!("--{name}={text}"))]),
        DeValue::Integer(number) if number.radix() == 10 => Ok(vec![(line, format!("--{name}={}", number.as_str()))]),
        DeValue::Float(number) => Ok(vec![(line, format!("--{name}={}", number.as_str()))]),
        other => Err(format!(
            "{name} is written as a text, a number, true, or a list of texts, and not as {}",
            other.type_str()
        )),
    }
}

/// What is wrong with one argument.
fn problem(argument: &str) -> Option<String> {
    let error = command().try_get_matches_from([argument]).err()?;
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    Some(first.strip_prefix("error: ").unwrap_or(first).to_owned())
}

/// Whether one may have been meant for the other: underscores for dashes, a letter more or less, or two that are
/// others, or have changed places.
fn is_near(one: &str, other: &str) -> bool {
    let one = one.replace('_', "-");
    let (short, long) = (one.len().min(other.len()), one.len().max(other.len()));
    let others = if short == long { 2.min(short / 3) } else { 0 };
    let same_start = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let same_end = one.bytes().rev().zip(other.bytes().rev()).take_while(|(one, other)| one == other).count();
    one == other || (long - short <= 1 && same_start + same_end + others >= short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        read(Path::new("p.toml"), text).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_file_says_what_the_command_line_says() {
        let options = read(
            Path::new("p.toml"),
            "to = ['http://a', \"http://b\"]\nretries = 3\ncompress = true\nfail-timeout = 0.5\npreserve-host = false\n",
        );
        let arguments: Vec<String> = options.unwrap().into_iter().flat_map(|option| option.arguments).collect();
        for expected in ["--to=http://a", "--to=http://b", "--retries=3", "--compress", "--fail-timeout=0.5"] {
            assert!(arguments.contains(&expected.to_owned()), "{expected} {arguments:?}");
        }
        assert_eq!(arguments.len(), 5, "what is false is left out");
    }

    #[test]
    fn each_mistake_has_its_line() {
        assert!(
            wrong("to = 'http://a'\nretires = 3\n").starts_with("p.toml:2: there is no option retires; is it retries?")
        );
        assert!(
            wrong("to = [\n  'http://a',\n  'nonsense',\n]\n").starts_with("p.toml:3: "),
            "{}",
            wrong("to = [\n'http://a',\n'nonsense',\n]\n")
        );
        assert!(wrong("\nworkers = 'many'\n").starts_with("p.toml:2: invalid value 'many'"));
        assert!(wrong("to = 'http://a'\nto = 'http://b'\n").starts_with("p.toml:2: "));
        assert!(wrong("to = \n").starts_with("p.toml:1: "));
        assert!(wrong("[status]\naddr = 1\n").contains("p.toml:1: status is written as"));
        let both = wrong("workers = 'many'\nfail_timeout = 3\n");
        assert_eq!(both.lines().count(), 2, "{both}");
        assert!(both.ends_with("p.toml:2: there is no option fail_timeout; is it fail-timeout?"), "{both}");
    }
}
