//! `berth explain`

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::args::Global;
use crate::create::Setup;
use crate::failure::Failure;
use crate::{Outcome, output, table};

#[derive(Args)]
pub struct Explain {
    /// Path of the bundle, a directory with config.json and a root filesystem
    #[arg(value_name = "BUNDLE", default_value = ".", hide_default_value = true)]
    bundle: PathBuf,
    #[command(flatten)]
    pub setup: Setup,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub fn run(self, global: &Global) -> Outcome {
        let config = self.setup.config(&self.bundle, None)?;
        let json = berth::explain_with(&self.setup.settings(global)?, &config, &self.setup.process_options())?;
        if self.json {
            output::print_line(json)?;
            return Ok(0);
        }
        let plan: Value = serde_json::from_str(&json).map_err(|error| Failure::new(error.to_string()))?;
        let steps = plan["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (dim, plain) = if table::colours(&std::io::stdout()) { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let mut text = format!("What the container's first process would do, in {} steps:\n", steps.len());
        for (index, step) in steps.iter().enumerate() {
            let details = details(step);
            let details = if details.is_empty() { details } else { format!(" {dim}({details}){plain}") };
            let words = step["text"].as_str().unwrap_or_default();
            text += &format!("{:>4}. {words}{details}\n", index + 1);
        }
        text += &list("For its mounts the caller would be:", &plan["user_namespaces"]);
        text += &list("Meanwhile the caller would be:", &plan["outside"]);
        output::print(text)?;
        Ok(0)
    }
}

fn list(title: &str, parts: &Value) -> String {
    let parts = parts.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = if parts.is_empty() { String::new() } else { format!("{title}\n") };
    for part in parts {
        text += &format!("      {}\n", part["text"].as_str().unwrap_or_default());
    }
    text
}

/// Returns the details of a step that its sentence omits.
fn details(step: &Value) -> String {
    let words = |name: &str| {
        let list = step[name].as_array().into_iter().flatten();
        list.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect::<Vec<_>>()
    };
    let mut details = [words("attributes"), words("options")].concat();
    for name in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
        let set = words(name);
        if !set.is_empty() {
            details.push(format!("{name}: {}", set.join(" ")));
        }
    }
    if let [_, arguments @ ..] = &words("args")[..]
        && !arguments.is_empty()
    {
        details.push(format!("arguments: {arguments:?}"));
    }
    if let Some(mode) = step["mode"].as_str() {
        details.push(format!("mode {mode}"));
    }
    details.join(", ")
}
