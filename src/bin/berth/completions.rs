//! `berth completions` and `berth man`, generated from the definitions of the options.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use crate::args::{Arguments, Global};
use crate::failure::Failure;
use crate::{Outcome, files, output};

#[derive(Args)]
pub struct Completions {
    /// Shell to print completions for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub fn run(self, _: &Global) -> Outcome {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "berth", &mut text);
        output::print(String::from_utf8_lossy(&text))?;
        Ok(0)
    }
}

#[derive(Args)]
pub struct Man {
    /// Write a man page for each command into this directory [default: print berth(1)]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub fn run(self, _: &Global) -> Outcome {
        let mut command = Arguments::command().version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true);
        command.build();
        match self.dir {
            None => output::print(String::from_utf8_lossy(&page(command)?))?,
            Some(dir) => {
                for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
                    let name = format!("berth-{}", verb.get_name());
                    let verb = verb.clone().display_name(name.clone()).version(env!("CARGO_PKG_VERSION"));
                    write(&dir, &name, &page(verb)?)?;
                }
                write(&dir, "berth", &page(command)?)?;
            }
        }
        Ok(0)
    }
}

fn page(command: Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let rendered = clap_mangen::Man::new(command).manual("libberth").render(&mut text);
    rendered.map_err(|error| Failure::io(&error, "writing the man page")).map(|()| text)
}

fn write(dir: &Path, name: &str, text: &[u8]) -> Result<(), Failure> {
    let path = dir.join(format!("{name}.1"));
    files::replace(&path, text, "the man page").map(drop)
}
