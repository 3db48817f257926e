//! Every subcommand, performed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::{Map, Value};
use wflo::{Host, Observer, RunStatus, RunView, Runtime, Start, StepStatus, Verdict};
use wflo_model::{PrincipalName, RunId};

use crate::args::{Approvals, Audit, Cli, Command, Global, Identity, Vote};
use crate::failure::{Code, Failure, WHO_HINT};
use crate::project::{Pinned, Project, variable};
use crate::{build, print, say, show};

/// Performs one command and says with which code it ends.
pub(crate) async fn perform(cli: Cli) -> Result<Code, Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Build { folder } => {
            let folder = folder.or_else(|| global.dir.clone()).unwrap_or_else(|| ".".into());
            build::build(&folder)?;
            Ok(Code::Succeeded)
        }
        Command::Audit { command: Audit::Verify { file } } => verify(&file),
        Command::Check { folder, explain } => {
            let project = Project::find(&global, folder.as_deref())?;
            let runtime = project.runtime().await?;
            let pinned = pin(&project, &runtime).await?;
            denied(&runtime, &pinned).await?;
            match explain {
                Some(step) => {
                    let words = pinned.plan.explain(&step);
                    let missing = || Failure::new(Code::NotFound, format!("there is no step `{step}`"));
                    print(&words.ok_or_else(missing)?);
                }
                None => say(&format!("`{}` {} can run", pinned.plan.workflow, pinned.plan.version)),
            }
            Ok(Code::Succeeded)
        }
        Command::Run { folder, input, input_file, key } => {
            let project = Project::find(&global, folder.as_deref())?;
            let runtime = project.runtime().await?;
            let pinned = pin(&project, &runtime).await?;
            let inputs = inputs(&pinned, &input, input_file.as_deref())?;
            let host = project.host()?;
            let requester = requester(&global, &runtime, &host).await?;
            let Pinned { plan, components } = pinned;
            let run = runtime.start(Start { plan, components, inputs, requester, key }).await?;
            follow(&global, &runtime, &host, run).await
        }
        command => stored(&global, command).await,
    }
}

/// Commands about what a store holds.
async fn stored(global: &Global, command: Command) -> Result<Code, Failure> {
    let project = Project::find(global, None)?;
    let runtime = project.runtime().await?;
    match command {
        Command::Resume { run: Some(run) } => {
            let host = project.host()?;
            let by = requester(global, &runtime, &host).await?;
            let view = runtime.resume(run, &by, &host, observer(global)).await?;
            return Ok(shown(global, &view));
        }
        Command::Resume { run: None } => {
            let host = project.host()?;
            let mut code = Code::Succeeded;
            for run in runtime.unfinished().await? {
                code = follow(global, &runtime, &host, run).await?;
            }
            return Ok(code);
        }
        Command::Runs => {
            let runs = runtime.runs().await?;
            output(global, &runs, || show::runs(&runs));
        }
        Command::Show { run } => {
            let view = runtime.show(run).await?;
            let events = runtime.events(run).await?;
            output(global, &view, || format!("{}\n{}", show::run(&view), show::timeline(&events)));
        }
        Command::Logs { run } => {
            for line in runtime.logs(run).await? {
                let step = line.step.as_ref().map(ToString::to_string).unwrap_or_default();
                let text = || format!("{}  {:<5}  {step}  {}", line.at, line.level, line.message);
                output_line(global, &line, text);
            }
        }
        Command::Approvals { command: None } => {
            let open = runtime.approvals(false).await?;
            output(global, &open, || show::approvals(&open));
        }
        Command::Approvals { command: Some(Approvals::Show { id }) } => {
            let approval = runtime.approval(id).await?;
            output(global, &approval, || show::approval(&approval));
        }
        Command::Approve(vote) => return cast(global, &project, &runtime, vote, Verdict::Approve).await,
        Command::Reject(vote) => return cast(global, &project, &runtime, vote, Verdict::Reject).await,
        Command::Cost { run: Some(run) } => {
            let cost = runtime.cost(run).await?;
            output(global, &cost, || show::cost(std::slice::from_ref(&cost)));
        }
        Command::Cost { run: None } => {
            let mut costs = Vec::new();
            for run in runtime.runs().await? {
                costs.push(runtime.cost(run.run).await?);
            }
            output(global, &costs, || show::cost(&costs));
        }
        Command::Identity { command: Identity::Add { name, groups } } => {
            print(&runtime.add_identity(&name, groups.into_iter().collect()).await?);
        }
        Command::Audit { command: Audit::Show { run } } => {
            print(&show::timeline(&runtime.events(run).await?))
        }
        Command::Audit { command: Audit::Export { run, output } } => {
            export(&runtime, run, output.as_deref()).await?
        }
        Command::Build { .. } | Command::Check { .. } | Command::Run { .. } | Command::Audit { .. } => {
            return Err(Failure::bug("a command went the wrong way"));
        }
    }
    Ok(Code::Succeeded)
}

async fn pin(project: &Project, runtime: &Runtime) -> Result<Pinned, Failure> {
    let host = Host { principals: project.principals()?, ..Host::default() };
    project.pin(&runtime.principals(&host).await?)
}

async fn denied(runtime: &Runtime, pinned: &Pinned) -> Result<(), Failure> {
    let missing = runtime.missing(&pinned.plan, &pinned.components).await?;
    if missing.is_empty() { Ok(()) } else { Err(wflo::RuntimeError::Denied { missing }.into()) }
}

fn inputs(pinned: &Pinned, given: &[String], file: Option<&Path>) -> Result<Map<String, Value>, Failure> {
    let mut inputs = Map::new();
    if let Some(file) = file {
        let bad = |error: String| Failure::usage(format!("`{}`: {error}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
        inputs = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    }
    for pair in given {
        let (name, text) =
            pair.split_once('=').ok_or_else(|| Failure::usage(format!("`{pair}` is not `name=value`")))?;
        inputs.insert(name.to_owned(), pinned.plan.input_from_text(name, text).map_err(Failure::usage)?);
    }
    pinned.plan.inputs(inputs).map_err(|wrong| Failure::usage(wrong.join("\nerror: ")))
}

/// Who asks: whoever `--as` names, by their token; else the user of this machine, who is in no group.
async fn requester(global: &Global, runtime: &Runtime, host: &Host) -> Result<PrincipalName, Failure> {
    if global.principal.is_some() {
        return Ok(voter(global, runtime, host).await?.name);
    }
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "unknown".to_owned());
    Ok(format!("local:{user}").parse().unwrap_or_else(|_| "local:unknown".parse().expect("it is a name")))
}

async fn voter(global: &Global, runtime: &Runtime, host: &Host) -> Result<wflo::Voter, Failure> {
    let who = || Failure::new(Code::Denied, "who you are is not known");
    let name = global.principal.as_ref().ok_or_else(|| who().hint(WHO_HINT))?;
    let token = variable("WFLO_TOKEN").ok_or_else(|| who().hint(WHO_HINT))?;
    Ok(runtime.authenticate(host, name, &token).await?)
}

async fn cast(
    global: &Global,
    project: &Project,
    runtime: &Runtime,
    vote: Vote,
    verdict: Verdict,
) -> Result<Code, Failure> {
    let known = Host { principals: project.principals()?, ..Host::default() };
    let voter = voter(global, runtime, &known).await?;
    let approval = runtime.vote(vote.id, &voter, verdict, vote.comment).await?;
    let word = if verdict == Verdict::Approve { "approved" } else { "rejected" };
    say(&format!("{} has {word} {}", voter.name, approval.id));
    if vote.no_resume {
        return Ok(Code::of(&runtime.show(approval.run).await?));
    }
    follow(global, runtime, &project.host()?, approval.run).await
}

async fn follow(global: &Global, runtime: &Runtime, host: &Host, run: RunId) -> Result<Code, Failure> {
    Ok(shown(global, &runtime.drive(run, host, observer(global)).await?))
}

fn shown(global: &Global, view: &RunView) -> Code {
    output(global, view, || show::run(view));
    Code::of(view)
}

async fn export(runtime: &Runtime, run: RunId, to: Option<&Path>) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    wflo_journal::audit::export(runtime.journal(), run, &mut bytes).await.map_err(|error| match error {
        wflo_journal::audit::ExportError::Read(error) => Failure::from(wflo::RuntimeError::from(error)),
        other => Failure::bug(other),
    })?;
    match to {
        Some(file) => std::fs::write(file, bytes)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", file.display()))),
        None => {
            print(&String::from_utf8_lossy(&bytes));
            Ok(())
        }
    }
}

fn verify(file: &Path) -> Result<Code, Failure> {
    let bad = |error: std::io::Error| Failure::usage(format!("`{}`: {error}", file.display()));
    match wflo_journal::audit::verify(std::fs::File::open(file).map_err(bad)?) {
        Ok(verified) => {
            print(&verified.explain());
            Ok(Code::Succeeded)
        }
        Err(error) => Err(Failure::new(Code::RunFailed, error)),
    }
}

fn output<T: Serialize>(global: &Global, value: &T, text: impl FnOnce() -> String) {
    if global.json {
        print(&serde_json::to_string_pretty(value).expect("what is shown has text keys"));
    } else {
        print(&text());
    }
}

fn output_line<T: Serialize>(global: &Global, value: &T, text: impl FnOnce() -> String) {
    if global.json {
        print(&serde_json::to_string(value).expect("what is shown has text keys"));
    } else {
        print(&text());
    }
}

/// A line on stderr whenever a step changes its state.
struct Lines(Mutex<BTreeMap<String, StepStatus>>);

fn observer(global: &Global) -> Option<Arc<dyn Observer>> {
    if global.json { None } else { Some(Arc::new(Lines(Mutex::default()))) }
}

impl Observer for Lines {
    fn changed(&self, run: &RunView) {
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for step in &run.steps {
            let before = seen.insert(step.name.to_string(), step.status);
            if before != Some(step.status)
                && step.status != StepStatus::Pending
                && run.status != RunStatus::Cancelled
            {
                say(&format!("{} {}", step.name, step.status));
            }
        }
    }
}
