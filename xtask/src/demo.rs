//! The fraud-detection example, told command by command.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::tool::command;

/// Runs fraud detection until it waits, decides as two people, and shows what came of it.
pub(crate) fn play(wflo: &Path, example: &Path) -> Result<()> {
    let stage = Stage { wflo, example };
    stage.tell("A run: the step reads the transactions, asks a model, and waits for people.");
    let run = stage.json(&["run"], 10)?;
    let id = run["run"].as_str().context("a run has an id")?;
    stage.play(None, &["show", id], 0)?;
    let approval = run["waiting_for"][0]["id"].as_str().context("the run waits for an approval")?;
    stage.tell("What they are to approve: exactly this, and nothing else.");
    stage.play(None, &["approvals", "show", approval], 0)?;
    stage.tell(
        "Mallory is in no group. Alice is in fraud-team: not enough. With Carol of compliance it goes on.",
    );
    stage.play(Some("mallory"), &["approve", approval], 3)?;
    stage.play(Some("alice"), &["approve", approval], 10)?;
    stage.play(Some("carol"), &["approve", approval], 0)?;
    stage.tell("What happened, who decided, and what it cost. The accounts are blocked in bank.db.");
    stage.play(None, &["show", id], 0)?;
    stage.play(None, &["cost", id], 0)?;
    stage.tell("The audit: one file, verified without the store.");
    let file = example.join(".wflo/demo.audit");
    let file = file.to_str().context("the checkout's path is text")?;
    stage.play(None, &["audit", "export", id, "-o", file], 0)?;
    stage.play(None, &["audit", "verify", file], 0)?;
    stage.tell("Next: examples/fraud-detection/README.md, and its workflow.toml, wflo.toml and steps/src.");
    Ok(())
}

struct Stage<'a> {
    wflo: &'a Path,
    example: &'a Path,
}

impl Stage<'_> {
    #[expect(clippy::print_stdout, reason = "the demo speaks to a person")]
    fn tell(&self, text: &str) {
        println!("\n# {text}");
    }

    #[expect(clippy::print_stdout, reason = "the demo speaks to a person")]
    fn announce(&self, who: Option<&str>, args: &[&str]) {
        let token = who.map(|name| format!("WFLO_TOKEN=$(cat tokens/{name}) ")).unwrap_or_default();
        let name = who.map(|name| format!(" --as {name}")).unwrap_or_default();
        println!("\n$ {token}wflo {}{name}", args.join(" "));
    }

    fn command(&self, who: Option<&str>, args: &[&str]) -> Result<std::process::Command> {
        let mut command = command(self.wflo);
        command.args(args).arg("--dir").arg(self.example);
        if let Some(name) = who {
            let token = std::fs::read_to_string(self.example.join("tokens").join(name)).context("a token")?;
            command.args(["--as", name]).env("WFLO_TOKEN", token.trim());
        }
        Ok(command)
    }

    /// Runs a command where it can be seen; it must end with `code`.
    fn play(&self, who: Option<&str>, args: &[&str], code: i32) -> Result<()> {
        self.announce(who, args);
        let status = self.command(who, args)?.status()?;
        if status.code() != Some(code) {
            bail!("`wflo {}` ended with {status}, not with {code}", args.join(" "));
        }
        Ok(())
    }

    /// Runs a command for its JSON.
    fn json(&self, args: &[&str], code: i32) -> Result<serde_json::Value> {
        self.announce(None, args);
        let output = self.command(None, args)?.arg("--json").output()?;
        if output.status.code() != Some(code) {
            bail!("`wflo {}`: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("the command's JSON")
    }
}
