//! What makes runs go: `run`, `resume`, `approve` and `reject`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};
use wflo::{RunView, Verdict};
use wflo_backends::SystemEntropy;
use wflo_manifest::{Directory, beyond_64_bits};
use wflo_model::{ApprovalId, RunId};
use wflo_ports::Entropy as _;

use super::{check, estimate, outbox, output, say_if_none};
use crate::args::{Global, Run, Vote};
use crate::failure::{Code, Failure, WHO_HINT};
use crate::progress::Progress;
use crate::project::{Pinned, Project, local_user, variable};
use crate::session::{self, Brought, Deploy, Operation, Session, Streamed, Who};
use crate::{changes, say, show, terminal};

/// Starts a run and follows it.
pub(crate) async fn run(
    global: &Global,
    project: &Project,
    session: &mut Session,
    args: Run,
) -> Result<Code, Failure> {
    let known = directory(session).await?;
    let pinned = project
        .pin(&known)
        .await?
        .map_err(|wrong| Failure::rendered(Code::Usage, wrong.render(terminal::stderr_colors())))?;
    let inputs = inputs(&pinned, &args.input, args.input_file.as_deref())?;
    if args.estimate {
        let estimated = estimate::estimate(session, &pinned.plan).await?;
        output(global, &estimated, || estimate::show(&estimated));
        return Ok(Code::Succeeded);
    }
    let deploy = project.deploy()?;
    let components = Brought::of(&pinned);
    // What a later step lacks is said before an earlier one has cost anything.
    let describe = session::Describe { plan: pinned.plan.clone(), components: components.clone() };
    let found = check::review(&pinned, session.ask(describe).await?);
    if found.has_errors() {
        return Err(Failure::rendered(Code::Usage, found.render(terminal::stderr_colors())));
    }
    let start = session::Start {
        deploy: deploy.clone(),
        plan: pinned.plan,
        components,
        inputs,
        who: who(global)?,
        key: args.key.map_or_else(nonce, Ok)?,
    };
    let run = session.ask(start).await?;
    follow(global, session, session::Drive { run, deploy: deploy.clone() }, deploy, run).await
}

/// Goes on with one run, or with all that can.
pub(crate) async fn resume(
    global: &Global,
    project: &Project,
    session: &mut Session,
    run: Option<RunId>,
) -> Result<Code, Failure> {
    let deploy = project.deploy()?;
    if let Some(run) = run {
        let lacks = session.ask(session::Lacks { run, deploy: deploy.clone() }).await?;
        if !lacks.is_empty() {
            return Err(Failure::usage(unbound(run, &lacks)).hint(ELSEWHERE));
        }
        let before = session.ask(session::Show { run }).await?;
        let resume = session::Resume { run, who: who(global)?, deploy: deploy.clone() };
        let code = follow(global, session, resume, deploy, run).await?;
        return finished(session, &before, code).await;
    }
    let wflo::Resumable { runs, waiting, parked, .. } = session.ask(session::Resumable {}).await?;
    let mut codes = Vec::new();
    if runs.is_empty() {
        output(global, &runs, String::new);
        if (waiting, parked) == (0, 0) {
            say_if_none(global, &runs, "there is nothing to go on with");
        }
    }
    for run in runs {
        match go_on_if_bound(global, session, &deploy, run).await {
            Ok(Some(code)) if code.is_interrupted() => return Ok(code),
            Ok(code) => codes.extend(code),
            Err(failure) if failure.is_interrupted() => return Err(failure),
            // Those behind it may well go on.
            Err(failure) => {
                say(&format!("run {run} was left where it stands\n{failure}"));
                codes.push(failure.code);
            }
        }
    }
    if waiting > 0 {
        say(&format!("{waiting} runs wait for a decision: `wflo approvals` lists what is asked"));
    }
    if parked > 0 {
        say(&format!("{parked} runs are parked: `wflo runs --status parked` lists them"));
    }
    // Where nothing can go on, the code says what there is to be waited for.
    Ok(codes.into_iter().reduce(Code::worse).unwrap_or(match (waiting, parked) {
        (0, 0) => Code::Succeeded,
        (0, _) => Code::Parked,
        _ => Code::ApprovalOpen,
    }))
}

/// Goes on with a run, unless this deployment does not bind what it needs.
async fn go_on_if_bound(
    global: &Global,
    session: &mut Session,
    deploy: &Deploy,
    run: RunId,
) -> Result<Option<Code>, Failure> {
    let lacks = session.ask(session::Lacks { run, deploy: deploy.clone() }).await?;
    if !lacks.is_empty() {
        say(&format!("{}: left as it is", unbound(run, &lacks)));
        return Ok(None);
    }
    let before = session.ask(session::Show { run }).await?;
    let drive = session::Drive { run, deploy: deploy.clone() };
    let code = follow(global, session, drive, deploy.clone(), run).await?;
    finished(session, &before, code).await.map(Some)
}

/// The code for a run that was gone on with: where somebody had asked for a rollback, all of it undone is what was wanted.
pub(super) async fn finished(session: &mut Session, before: &RunView, code: Code) -> Result<Code, Failure> {
    if code != Code::RunFailed || before.status.is_final() {
        return Ok(code);
    }
    let RunView { status, rollback, .. } = session.ask_anyway(session::Show { run: before.run }).await?;
    let is_wanted = rollback.is_some_and(|it| it.by.is_some()) && status == wflo::RunStatus::RolledBack;
    Ok(if is_wanted { Code::Succeeded } else { code })
}

/// Casts a vote on each approval, and lets the runs go on.
pub(crate) async fn vote(
    global: &Global,
    project: &Project,
    session: &mut Session,
    vote: Vote,
    verdict: Verdict,
) -> Result<Code, Failure> {
    let unknown = || Failure::new(Code::Denied, "who you are is not known").hint(WHO_HINT);
    let Some(Who::Principal { name, token }) = principal(global)? else { return Err(unknown()) };
    let deploy = project.deploy()?;
    let word = if verdict == Verdict::Approve { "approved" } else { "rejected" };
    // Each once, and whether it was asked there whether the run is to be rolled back.
    let mut runs: BTreeMap<RunId, bool> = BTreeMap::new();
    let mut in_vain = false;
    let voted = vote.ids.clone();
    for id in vote.ids {
        let cast = session::Vote {
            id,
            name: name.clone(),
            token: token.clone(),
            verdict,
            comment: vote.comment.clone(),
            deploy: deploy.clone(),
            again: false,
        };
        let approval = session.ask(cast).await?;
        if approval.votes.iter().any(|vote| vote.principal == name) {
            say(&format!("{name} has {word} {id}"));
        } else {
            // It is recorded and counts for nothing.
            say(&format!("{name} is too late: {id} is {}", approval.status));
            in_vain |= (verdict == Verdict::Approve) != ["approved", "consumed"].contains(&&*approval.status);
        }
        *runs.entry(approval.run).or_default() |= approval.at == wflo::GateAt::Rollback;
    }
    let mut code = Code::Succeeded;
    for (run, is_undone) in runs {
        code = go_on(global, session, &deploy, run, vote.no_resume).await?;
        if code == Code::ApprovalOpen && verdict == Verdict::Approve && !vote.no_resume {
            asked_anew(session, run, &voted).await?;
        }
        // Where that was asked, all of it undone is what was wanted.
        if is_undone && session.ask_anyway(session::Show { run }).await?.status == wflo::RunStatus::RolledBack
        {
            code = Code::Succeeded;
        }
    }
    Ok(if in_vain && code == Code::Succeeded { Code::Denied } else { code })
}

/// Says why people are asked anew who have just approved: it would come to something else by now.
async fn asked_anew(session: &mut Session, run: RunId, voted: &[ApprovalId]) -> Result<(), Failure> {
    let view = session.ask_anyway(session::Show { run }).await?;
    for id in view.waiting_for.iter().filter_map(|wait| wait.id).filter(|id| !voted.contains(id)) {
        let asked = session.ask_anyway(session::Approval { id }).await?;
        if let Some(differs) = changes::differs(&asked.shows) {
            say(&format!("{id} asks anew, for it would not come to what was approved: {differs}"));
            say(&format!("hint: {}", changes::DIFFERS_HINT));
        }
    }
    Ok(())
}

/// Lets a run go on after a decision, unless that is left to others.
async fn go_on(
    global: &Global,
    session: &mut Session,
    deploy: &Deploy,
    run: RunId,
    no_resume: bool,
) -> Result<Code, Failure> {
    let lacks = session.ask(session::Lacks { run, deploy: deploy.clone() }).await?;
    if no_resume || !lacks.is_empty() {
        if !no_resume {
            say(&format!("{}: left to `wflo resume {run}`\nhint: {ELSEWHERE}", unbound(run, &lacks)));
        }
        return Ok(Code::of(&session.ask(session::Show { run }).await?));
    }
    follow(global, session, session::Drive { run, deploy: deploy.clone() }, deploy.clone(), run).await
}

/// Has a run driven, says how it comes along, and shows where it stands.
pub(crate) async fn follow<O: Operation<Answer = RunView>>(
    global: &Global,
    session: &mut Session,
    drive: O,
    deploy: Deploy,
    run: RunId,
) -> Result<Code, Failure> {
    let mut progress = Progress::new(global);
    let driven = session
        .follow(drive, &mut |event| {
            match event {
                Streamed::Run(view) => progress.show(&view),
                Streamed::Stopping => progress.stopping(),
                Streamed::Lines { .. } | Streamed::Bytes { .. } => {}
            }
            Ok(())
        })
        .await;
    if let Ok(view) = &driven {
        progress.show(view);
    }
    drop(progress);
    let (view, code) = match driven {
        Ok(view) => {
            let code = Code::of(&view);
            (view, code)
        }
        Err(failure) if failure.is_interrupted() => {
            say(&if session.holds() {
                format!("stopped: `wflo resume {run}` goes on where it stands")
            } else {
                format!("left: the process that holds the store goes on with it; `wflo show {run}`")
            });
            (session.ask_anyway(session::Show { run }).await?, failure.code)
        }
        Err(failure) => return Err(failure),
    };
    output(global, &view, || show::run(&view, terminal::stdout_colors()));
    if !code.is_interrupted() {
        let waits = matches!(code, Code::ApprovalOpen | Code::Parked);
        outbox::farewell(session, deploy, run, waits).await?;
    }
    Ok(code)
}

/// Where a run can go on that cannot here.
const ELSEWHERE: &str = "go to the folder of its workflow, or name its deployment with `--config`";

fn unbound(run: RunId, lacks: &[String]) -> String {
    format!("this deployment does not bind what run {run} needs: {}", lacks.join(", "))
}

/// Everybody the store knows.
pub(crate) async fn directory(session: &mut Session) -> Result<Directory, Failure> {
    let mut known = Directory::default();
    for (name, groups) in session.ask(session::Known {}).await? {
        known.add(name, groups);
    }
    Ok(known)
}

fn inputs(pinned: &Pinned, given: &[String], file: Option<&Path>) -> Result<Map<String, Value>, Failure> {
    let mut inputs = Map::new();
    if let Some(file) = file {
        let bad = |error: String| Failure::usage(format!("`{}`: {error}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
        inputs = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if let Some(digits) = beyond_64_bits(&text) {
            return Err(bad(format!(
                "`{digits}` is beyond 64 bits, and would be rounded: give it as a text"
            )));
        }
    }
    let mut named = BTreeSet::new();
    for pair in given {
        let (name, text) =
            pair.split_once('=').ok_or_else(|| Failure::usage(format!("`{pair}` is not `name=value`")))?;
        if !named.insert(name) {
            return Err(Failure::usage(format!("input `{name}` is given twice")));
        }
        inputs.insert(name.to_owned(), pinned.plan.input_from_text(name, text).map_err(Failure::usage)?);
    }
    pinned.plan.inputs(inputs).map_err(|wrong| Failure::usage(wrong.join("\nerror: ")))
}

/// Who asks: whoever `--as` names, by their token; else the user of this machine.
pub(crate) fn who(global: &Global) -> Result<Who, Failure> {
    Ok(match principal(global)? {
        Some(who) => who,
        None => Who::Local { user: local_user() },
    })
}

pub(crate) fn principal(global: &Global) -> Result<Option<Who>, Failure> {
    let Some(name) = global.principal.clone() else { return Ok(None) };
    let token = variable("WFLO_TOKEN")
        .ok_or_else(|| Failure::new(Code::Denied, "who you are is not known").hint(WHO_HINT))?;
    Ok(Some(Who::Principal { name, token }))
}

/// A key for a run that was given none: what makes asking twice for it one run. Nobody guesses 128 bits.
fn nonce() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes).map_err(Failure::bug)?;
    Ok(format!("wflo:request:{:032x}", u128::from_be_bytes(bytes)))
}
