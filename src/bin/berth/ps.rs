//! `berth ps`

use std::process::{Command, Stdio};

use clap::Args;

use crate::args::Global;
use crate::failure::Failure;
use crate::list::Format;
use crate::{Outcome, host, output};

#[derive(Args)]
pub struct Ps {
    /// Set the output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
    /// Options for ps(1) [default: -ef]
    #[arg(value_name = "PS OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Ps {
    pub fn run(mut self, global: &Global) -> Outcome {
        self.take_format()?;
        let pids = host::container(global, &self.id)?.pids()?;
        if self.json || self.format == Format::Json {
            output::print_line(format!("[{}]", pids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")))?;
            return Ok(0);
        }
        if self.options.is_empty() {
            self.options.push("-ef".into());
        }
        let listed = Command::new("ps").args(&self.options).stdin(Stdio::null()).output();
        let listed = listed.map_err(|error| {
            Failure::io(&error, "running ps").remedy("install it (Debian: procps), or use --format json")
        })?;
        if !listed.status.success() {
            let said = String::from_utf8_lossy(&listed.stderr);
            let said = said.lines().find(|line| !line.is_empty()).unwrap_or("no error message").trim();
            return Err(Failure::new(format!("ps {}: {}: {said}", self.options.join(" "), listed.status)));
        }
        output::print(of_container(&String::from_utf8_lossy(&listed.stdout), &pids)?)?;
        Ok(0)
    }

    /// Takes `--format`, which is an option of berth, out of the options for ps(1).
    fn take_format(&mut self) -> Result<(), Failure> {
        let words: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let (taken, count) = match words[..] {
            ["--format" | "-f", "json", ..] => (Format::Json, 2),
            ["--format" | "-f", "table", ..] => (Format::Table, 2),
            ["--format=json" | "--json", ..] => (Format::Json, 1),
            ["--format=table", ..] => (Format::Table, 1),
            _ => return Ok(()),
        };
        self.format = taken;
        self.options.drain(..count);
        Ok(())
    }
}

/// Returns the table's header and the lines of these processes.
fn of_container(table: &str, pids: &[i32]) -> Result<String, Failure> {
    let mut lines = table.lines();
    let head = lines.next().unwrap_or_default();
    let column = head.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| {
        Failure::new("couldn't find PID field in ps output").remedy("the options of ps must leave its PID column")
    })?;
    let is_theirs = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    Ok(std::iter::once(head).chain(lines.filter(is_theirs)).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_the_containers_processes_are_kept() {
        let table = "UID   PID CMD\nroot   12 sleep 13\nroot   13 sleep 12\n";
        assert_eq!(of_container(table, &[13]).unwrap(), "UID   PID CMD\nroot   13 sleep 12\n");
        assert!(of_container("UID CMD\n", &[13]).is_err());
    }
}
