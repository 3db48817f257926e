//! Every subcommand, performed.

mod artifact;
mod audit;
mod check;
mod cost;
mod databases;
mod decide;
mod demo;
mod estimate;
mod identity;
mod intervene;
mod key;
mod knowledge;
mod logs;
mod outbox;
mod policy;
mod record;
mod rollback;
mod run;
mod serve;
mod test;

use serde::Serialize;
use wflo_backends::SystemClock;
use wflo_ports::Clock as _;

pub(crate) use self::cost::CostLine;
use crate::args::{Approvals, Approve, Artifact, Audit, Cli, Command, Db, Global, Key, Knowledge, Policy};
use crate::failure::{Code, Failure};
use crate::project::{Project, nearest};
use crate::session::{self, Session};
use crate::{build, new, print, say, show, terminal};

/// Performs one command and says with which code it ends.
pub(crate) async fn perform(cli: Cli) -> Result<Code, Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::New { name, lang, sdk_path } => {
            let parent = global.dir.clone().unwrap_or_else(|| ".".into());
            let made = new::new(&parent, &name, lang, sdk_path.as_deref())?;
            match global.json {
                true => print(&terminal::json(&made)),
                false => say(&made.words()),
            }
            Ok(Code::Succeeded)
        }
        Command::Build { folder, steps, install } => {
            let is_here = std::path::Path::new("workflow.toml").is_file();
            let above = || nearest().filter(|_| !is_here);
            let folder = folder.or_else(|| global.dir.clone()).or_else(above).unwrap_or_else(|| ".".into());
            let order = build::Order { folder: &folder, steps: steps.as_deref(), install };
            let built = tokio::task::block_in_place(|| build::build(&order))?;
            match global.json {
                true => print(&terminal::json(&built)),
                false => say(&built.words()),
            }
            Ok(Code::Succeeded)
        }
        Command::Audit { command: Audit::Verify { file, trust, checkpoint } } => {
            audit::verify(&global, &file, &trust, &checkpoint)
        }
        Command::Key { command: Key::Rotate { only, new_key } } => {
            let project = Project::find(&global, None)?;
            key::rotate(&global, &project, only, new_key).await
        }
        Command::Check { folder, explain } => {
            check::check(&global, folder.as_deref(), explain.as_ref()).await
        }
        Command::Test { names } => test::test(&global, &names).await,
        Command::Policy { command: Policy::Test { facts, input } } => {
            policy::test(&global, &facts, &input).await
        }
        Command::Knowledge { command: Knowledge::Search { label, query, top } } => {
            knowledge::search(&global, &label, &query.join(" "), top).await
        }
        Command::Db { command: Db::Prepare { label, print } } => {
            databases::prepare(&global, &label, print).await
        }
        Command::Demo { folder } => tokio::task::block_in_place(|| demo::demo(&folder)),
        Command::Run(args) => {
            let named = args.folder.as_deref().or(global.dir.as_deref());
            let project = Project::find(&global, named)?;
            let mut session = Session::open(project.place()?).await?;
            let done = Box::pin(run::run(&global, &project, &mut session, args)).await;
            session.close().await;
            done
        }
        Command::Serve { listen } => {
            let project = Project::find(&global, None)?;
            let mut session = Session::open(project.place()?).await?;
            let done = Box::pin(serve::serve(project, &mut session, listen)).await;
            session.close().await;
            done
        }
        command => {
            let project = Project::find(&global, None)?;
            let mut session = Session::open(project.place()?).await?;
            let done = Box::pin(stored(&global, &project, &mut session, command)).await;
            session.close().await;
            done
        }
    }
}

/// Commands about what a store holds.
async fn stored(
    global: &Global,
    project: &Project,
    session: &mut Session,
    command: Command,
) -> Result<Code, Failure> {
    match command {
        Command::Resume { run } => return run::resume(global, project, session, run).await,
        Command::Approve(Approve { vote, edit: Some(file) }) => {
            return decide::edit(global, project, session, vote, &file).await;
        }
        Command::TopUp { run, usd } => return decide::top_up(global, project, session, run, usd).await,
        Command::Approve(Approve { vote, edit: None }) => {
            return run::vote(global, project, session, vote, wflo::Verdict::Approve).await;
        }
        Command::Reject(vote) => {
            return run::vote(global, project, session, vote, wflo::Verdict::Reject).await;
        }
        Command::Cancel { run, reason } => {
            return intervene::cancel(global, project, session, run, reason).await;
        }
        Command::Resolve(args) => return intervene::resolve(global, project, session, args).await,
        Command::Fork { run, at, keep } => {
            return intervene::fork(global, project, session, run, at, keep).await;
        }
        Command::Gc { older_than, dry_run } => {
            intervene::gc(global, project, session, older_than, dry_run).await?
        }
        Command::Erase { run } => intervene::erase(global, project, session, run).await?,
        Command::Rollback { run, to, dry_run } => {
            return rollback::rollback(global, project, session, run, to, dry_run).await;
        }
        Command::Show { run, changes: true } => rollback::changes(global, session, run).await?,
        Command::Replay { run } => return intervene::replay(global, session, run).await,
        Command::Record { run, step, item, out, labelled } => {
            let what = wflo::Record { run, step, item, labelled };
            return record::record(global, project, session, what, out.as_deref()).await;
        }
        Command::Runs { workflow, status, limit } => {
            let runs = session.ask(session::Runs { workflow, status, limit }).await?;
            output(global, &runs, || show::runs(&runs, terminal::stdout_colors()));
            say_if_none(global, &runs, "there are no such runs");
        }
        Command::Show { run, changes: false } => {
            let view = session.ask(session::Show { run }).await?;
            if global.json {
                output(global, &view, String::new);
            } else {
                let events = session.ask(session::Events { run }).await?;
                let colors = terminal::stdout_colors();
                print(&format!("{}\n{}", show::run(&view, colors), show::timeline(&events, colors)));
            }
        }
        Command::Logs { run, follow } => logs::logs(global, session, run, follow).await?,
        Command::Approvals { command: None } => {
            let open = session.ask(session::Approvals {}).await?;
            output(global, &open, || show::approvals(&open, SystemClock.now()));
            say_if_none(global, &open, "nothing waits for a decision");
        }
        Command::Approvals { command: Some(Approvals::Show { id }) } => {
            let approval = session.ask(session::Approval { id }).await?;
            output(global, &approval, || show::approval(&approval, terminal::stdout_colors()));
        }
        Command::Cost { run, by } => cost::cost(global, project, session, run, by).await?,
        Command::Outbox { retry } => outbox::outbox(global, project, session, retry).await?,
        Command::Artifact { command: Artifact::List { run } } => artifact::list(global, session, run).await?,
        Command::Artifact { command: Artifact::Get { run, step, name, item, output } } => {
            let which = wflo_model::ArtifactAddress { artifact: name, step: Some(step), item };
            artifact::get(global, project, session, run, which, output.as_deref()).await?;
        }
        Command::Identity { command } => identity::identity(global, project, session, command).await?,
        Command::Audit { command: Audit::Show { run, system: _ } } => {
            audit::show(global, session, run).await?;
        }
        Command::Audit { command: Audit::Export { run, output, since, system: _ } } => {
            audit::export(global, project, session, run, output.as_deref(), &since).await?;
        }
        Command::Audit { command: Audit::Report { run, since, until, person, patient } } => {
            let query = wflo::ReportQuery { run, since, until, person, about: patient };
            audit::report(global, project, session, query).await?;
        }
        Command::Key { command: Key::Show } => {
            let keys = session.ask(session::Keys {}).await?;
            output(global, &keys, || keys.signing.clone());
        }
        Command::New { .. }
        | Command::Build { .. }
        | Command::Check { .. }
        | Command::Test { .. }
        | Command::Run(_)
        | Command::Serve { .. }
        | Command::Demo { .. }
        | Command::Compile { .. }
        | Command::Db { .. }
        | Command::Policy { .. }
        | Command::Key { .. }
        | Command::Knowledge { .. }
        | Command::Audit { .. } => {
            return Err(Failure::bug("a command went the wrong way"));
        }
    }
    Ok(Code::Succeeded)
}

fn output<T: Serialize>(global: &Global, value: &T, text: impl FnOnce() -> String) {
    if global.json {
        print(&terminal::json(value));
        return;
    }
    let text = text();
    if !text.is_empty() {
        print(&text);
    }
}

/// Says to a person that a list is empty, where it prints as nothing.
fn say_if_none<T>(global: &Global, list: &[T], what: &str) {
    if list.is_empty() && !global.json {
        say(what);
    }
}

fn output_line<T: Serialize>(global: &Global, value: &T, text: impl FnOnce() -> String) {
    if global.json {
        print(&terminal::json_line(value));
    } else {
        print(&text());
    }
}
