//! Accepts arguments in the style of Go's flag package, as scripts for runc use them: long options with a single dash
//! ("-bundle DIR"), empty values ("--pid-file ''"), which mean that the option is missing, and switches with a value
//! ("--detach=false").

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};

/// Converts Go-style flags to the form that clap accepts. Looks the options up only if an argument may be a Go flag.
pub fn translated(arguments: impl Iterator<Item = OsString>, command: impl FnOnce() -> Command) -> Vec<OsString> {
    let arguments: Vec<OsString> = arguments.collect();
    let has_value_of_gos = |argument: &OsString| {
        let text = argument.to_string_lossy();
        argument.is_empty()
            || text.split_once('=').is_some_and(|(_, value)| value.is_empty() || parse_bool(value).is_some())
    };
    if !arguments.iter().skip(1).any(|argument| has_value_of_gos(argument) || single(argument).is_some()) {
        return arguments;
    }
    let mut command = command();
    command.build();
    translate(arguments, &command)
}

fn translate(arguments: Vec<OsString>, program: &Command) -> Vec<OsString> {
    let mut command = program;
    let mut positionals = 0;
    let mut given = arguments.into_iter();
    let mut new: Vec<OsString> = given.next().into_iter().collect();
    while let Some(mut argument) = given.next() {
        if single(&argument).is_some_and(|name| find(command, name).is_some()) {
            let mut doubled = OsString::from("-");
            doubled.push(argument);
            argument = doubled;
        }
        let text = argument.to_string_lossy().into_owned();
        if text == "--" {
            new.push(argument);
            break;
        }
        if let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            if let Some((name, on)) = switch(command, letters) {
                new.extend(on.then(|| format!("-{name}").into()));
                continue;
            }
            let (arg, value) = option(command, letters);
            match (arg, value) {
                (Some(arg), Some("")) if may_be_left_out(arg) => {}
                // Its value is the next argument.
                (Some(arg), None) => match given.next() {
                    Some(value) if value.is_empty() && may_be_left_out(arg) && is_complete(letters) => {}
                    value => new.extend(std::iter::once(argument).chain(value)),
                },
                _ => new.push(argument),
            }
            continue;
        }
        match command.find_subcommand(&text) {
            Some(verb) => command = verb,
            None => positionals += 1,
        }
        new.push(argument);
        // The rest belongs to the program.
        if positionals > 0 && command.get_positionals().nth(positionals - 1).is_some_and(Arg::is_trailing_var_arg_set) {
            break;
        }
    }
    new.extend(given);
    new
}

/// Splits a switch with a value ("detach=false"; the first dash is already removed) into the switch and the value.
fn switch<'t>(command: &Command, letters: &'t str) -> Option<(&'t str, bool)> {
    let (name, value) = letters.split_once('=')?;
    let arg = match name.strip_prefix('-') {
        Some(long) => find(command, long)?,
        None => command.get_arguments().find(|arg| arg.get_short().is_some_and(|short| name == short.to_string()))?,
    };
    if takes_value(arg) { None } else { Some((name, parse_bool(value)?)) }
}

/// Parses a boolean as Go's strconv.ParseBool does.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Returns the option in this argument (first dash removed) that takes a value, and the value unless it is the next argument.
fn option<'c, 't>(command: &'c Command, letters: &'t str) -> (Option<&'c Arg>, Option<&'t str>) {
    let Some(long) = letters.strip_prefix('-') else { return short_option(command, letters) };
    let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
    (find(command, name).filter(|arg| takes_value(arg)), value)
}

/// In combined short options ("-td", "-e"), the first one that takes a value takes the rest.
fn short_option<'c, 't>(command: &'c Command, letters: &'t str) -> (Option<&'c Arg>, Option<&'t str>) {
    for (at, letter) in letters.char_indices() {
        let Some(arg) = command.get_arguments().find(|arg| arg.get_short() == Some(letter)) else { break };
        if takes_value(arg) {
            let rest = &letters[at + letter.len_utf8()..];
            return (Some(arg), Some(rest).filter(|rest| !rest.is_empty()));
        }
    }
    (None, None)
}

/// Returns the name of an option with one dash and more than one letter.
fn single(argument: &OsStr) -> Option<&str> {
    let name = argument.to_str()?.strip_prefix('-')?.split('=').next()?;
    (name.len() > 1 && name.starts_with(|letter: char| letter.is_ascii_alphabetic())).then_some(name)
}

fn find<'c>(command: &'c Command, long: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(long))
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

/// Whether an empty value means that the option is missing. Not for lists, where every element counts.
fn may_be_left_out(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set)
}

/// Whether this is a long option, or a single letter.
fn is_complete(letters: &str) -> bool {
    letters.starts_with('-') || letters.len() == 1
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Arguments;

    fn doubled(line: &str) -> String {
        let arguments = line.split(' ').map(|word| OsString::from(word.trim_matches('\'')));
        let new = translated(arguments, Arguments::command);
        new.iter().map(|argument| argument.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn known_names_get_a_second_dash() {
        assert_eq!(
            doubled("berth -root /x create -bundle /b -pid-file=p c1"),
            "berth --root /x create --bundle /b --pid-file=p c1"
        );
        assert_eq!(doubled("berth -debug run c1 -detach"), "berth --debug run c1 --detach");
        assert_eq!(doubled("berth exec -env A=1 -cap X c1 id"), "berth exec --env A=1 --cap X c1 id");
    }

    #[test]
    fn values_short_options_and_arguments_of_programs_are_unchanged() {
        for line in [
            "berth exec -td c1 sh",
            "berth exec c1 tool -env -root",
            "berth exec --cwd -env c1 id",
            "berth exec -e -tty c1 id",
            "berth exec c1 -- -root",
            "berth run -b -bundle c1",
            "berth update --cpu-quota -1 c1",
            "berth ps c1 -root",
            "berth create -nonsense c1",
        ] {
            assert_eq!(doubled(line), line);
        }
    }

    #[test]
    fn a_switch_with_a_value_is_there_or_not() {
        for (line, expected) in [
            ("berth --debug=true create --no-pivot=false c1", "berth --debug create c1"),
            ("berth exec -t=1 -d=F -tty=True c1 sh --x=false", "berth exec -t --tty c1 sh --x=false"),
            // Options that take a value, and values that look like options.
            ("berth --rootless=true exec --env=0 c1 id", "berth --rootless=true exec --env=0 c1 id"),
            ("berth run --detach=yes --keep=true c1", "berth run --detach=yes --keep c1"),
            ("berth run --nonsense=true c1", "berth run --nonsense=true c1"),
        ] {
            assert_eq!(doubled(line), expected, "{line}");
        }
    }

    #[test]
    fn an_option_with_an_empty_value_is_left_out() {
        for (line, expected) in [
            ("berth --root '' create --pid-file '' --bundle= -b '' c1", "berth create c1"),
            ("berth exec -u '' --cwd '' c1 sh", "berth exec c1 sh"),
            ("berth create -pid-file= c1 -console-socket ''", "berth create c1"),
            // An argument of the program, an element of a list, an id.
            ("berth exec c1 sh -c '' --cwd ''", "berth exec c1 sh -c  --cwd "),
            ("berth exec -e '' --cap= c1 id", "berth exec -e  --cap= c1 id"),
            ("berth state ''", "berth state "),
            ("berth exec -tu '' c1 id", "berth exec -tu  c1 id"),
        ] {
            assert_eq!(doubled(line), expected, "{line}");
        }
    }
}
