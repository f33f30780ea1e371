//! Long options with a single dash ("-bundle DIR"), as Go's flags have them and scripts for runc may say.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// The arguments with such options spelled with two dashes. What the options are is only looked up if there may be one.
pub fn doubled(arguments: impl Iterator<Item = OsString>, command: impl FnOnce() -> Command) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    if arguments.iter().skip(1).any(|argument| single(argument).is_some()) {
        let mut command = command();
        command.build();
        double(&mut arguments, &command);
    }
    arguments
}

fn double(arguments: &mut [OsString], program: &Command) {
    let mut command = program;
    let mut positionals = 0;
    let mut is_value = false;
    for argument in arguments.iter_mut().skip(1) {
        if std::mem::take(&mut is_value) {
            continue;
        }
        if argument == "--" {
            return;
        }
        let text = argument.to_string_lossy().into_owned();
        let long = single(argument).filter(|name| find(command, name).is_some()).map(|name| name.to_owned());
        if let Some(name) = long {
            let mut new = OsString::from("-");
            new.push(&*argument);
            *argument = new;
            is_value = !text.contains('=') && find(command, &name).is_some_and(takes_value);
        } else if let Some(name) = text.strip_prefix("--") {
            is_value = !name.contains('=') && find(command, name).is_some_and(takes_value);
        } else if let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            is_value = ends_with_one_that_takes_a_value(command, letters);
        } else if let Some(verb) = command.find_subcommand(&text) {
            command = verb;
        } else {
            positionals += 1;
            // What follows is a program's.
            if command.get_positionals().nth(positionals - 1).is_some_and(Arg::is_trailing_var_arg_set) {
                return;
            }
        }
    }
}

/// The name of an option with one dash and more than one letter.
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

/// "-td", "-e": the next argument is the last one's value, unless it is in the same.
fn ends_with_one_that_takes_a_value(command: &Command, letters: &str) -> bool {
    for (at, letter) in letters.char_indices() {
        let Some(arg) = command.get_arguments().find(|arg| arg.get_short() == Some(letter)) else { return false };
        if takes_value(arg) {
            return at + letter.len_utf8() == letters.len();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Arguments;

    fn doubled(line: &str) -> String {
        let arguments = line.split(' ').map(OsString::from);
        let new = super::doubled(arguments, Arguments::command);
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
    fn values_letters_and_the_arguments_of_programs_stay() {
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
}
