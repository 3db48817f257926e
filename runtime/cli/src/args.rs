//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};
use wflo::{About, RunStatus};
use wflo_model::{
    ApprovalId, ArtifactName, GroupName, Label, PicoUsd, PrincipalName, Role, RunId, StepName, Timestamp,
    WorkflowName,
};

const CODES: &str = "\
Exit codes:
  0   succeeded
  1   the run failed; an audit file does not verify; a replay differs; a test fails
  2   usage or manifest; standard output cannot be written
  3   denied before anything ran: load, vote, start
  4   no such run, approval or step
  10  an approval is open
  11  parked: timer, budget, unknown, diverged; a database is away
  70  a bug of ours, or of the store
  130, 143  stopped by Ctrl-C or SIGTERM; `wflo resume` goes on";

/// The subcommand that a process of its own compiles under.
pub(crate) const COMPILE: &str = "compile-component";

/// Runs the steps of AI-agent workflows as WebAssembly components behind one journaled gate.
#[derive(Debug, Parser)]
#[command(name = "wflo", version, after_help = CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The workflow's folder; by default the nearest with a `workflow.toml`.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The store's folder; by default what `wflo.toml` says, else `.wflo` beside it.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// The deployment file; by default `wflo.toml` in the workflow's folder.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Who you are; your token is read from `WFLO_TOKEN`.
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) principal: Option<PrincipalName>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a project that builds and runs as it is, and has a test.
    New {
        /// The name of the workflow, and of the folder that is made for it.
        name: WorkflowName,
        /// What its steps are written in.
        #[arg(long, value_enum, default_value = "rust")]
        lang: Lang,
        /// The folder `guest-sdk` of a checkout whose SDK the steps are to use, in the place of the published one. A
        /// command that was built from a checkout that is still there uses that.
        #[arg(long, value_name = "DIR")]
        sdk_path: Option<PathBuf>,
    },
    /// Compile the steps to a component with the tools of their language.
    Build {
        /// The workflow's folder.
        folder: Option<PathBuf>,
        /// The folder of the steps, seen from the workflow's: Rust has a `Cargo.toml` there, JavaScript and TypeScript
        /// a `package.json`, Python a `requirements.txt`, Go a `go.mod`, C a `steps.c`. By default `steps`, else the workflow's own.
        #[arg(long, value_name = "DIR")]
        steps: Option<PathBuf>,
        /// First get the tools and libraries that the steps name, by the package manager of their language.
        #[arg(long)]
        install: bool,
    },
    /// Check everything that can be known without running.
    Check {
        /// The workflow's folder.
        folder: Option<PathBuf>,
        /// Say in plain words what a step can do.
        #[arg(long, value_name = "STEP")]
        explain: Option<StepName>,
    },
    /// Run the steps against the files in `tests/`, in the sandbox, with nothing outside.
    Test {
        /// Only these, by the names of their files.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Make a file for `wflo test` of a step of a run.
    Record {
        /// The run.
        run: RunId,
        /// The step; the last of its attempts that has ended.
        step: StepName,
        /// The item, where the step fans out; counted from 0.
        #[arg(long, value_name = "N")]
        item: Option<u32>,
        /// Where to, `-` for standard output; by default `tests/STEP.toml`.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Also where the step handles labelled data: the file has it as plain text.
        #[arg(long)]
        labelled: bool,
    },
    /// Say what the policies would decide.
    Policy {
        #[command(subcommand)]
        command: Policy,
    },
    /// Start a run and follow it until it ends or waits.
    Run(Run),
    /// Go on with runs that were interrupted, or whose wait is over.
    Resume {
        /// Only this one.
        run: Option<RunId>,
    },
    /// List the runs, newest first.
    Runs {
        /// Only those of this workflow.
        #[arg(long, value_name = "NAME")]
        workflow: Option<String>,
        /// Only those that stand so: running, waiting, parked, succeeded, failed, cancelled, rolled_back, ...
        #[arg(long, value_parser = status)]
        status: Option<RunStatus>,
        /// Only the newest N.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show one run: steps, timeline, cost.
    Show {
        /// The run.
        run: RunId,
        /// Show the rows that its steps changed in databases.
        #[arg(long)]
        changes: bool,
    },
    /// Print what the steps of a run logged.
    Logs {
        /// The run.
        run: RunId,
        /// Go on until the run has ended.
        #[arg(short, long)]
        follow: bool,
    },
    /// List what waits for a decision.
    Approvals {
        #[command(subcommand)]
        command: Option<Approvals>,
    },
    /// Approve, and let the run go on.
    Approve(Approve),
    /// Reject, and let the run go on.
    Reject(Vote),
    /// Ask for more money for a run; those who may raise its budget decide.
    TopUp {
        /// The run.
        run: RunId,
        /// How much more, in US dollars.
        #[arg(value_name = "USD", allow_negative_numbers = true)]
        usd: PicoUsd,
    },
    /// End a run: nothing new starts, and what is under way is stopped.
    Cancel {
        /// The run.
        run: RunId,
        /// Words to keep beside it.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Say what became of a call of which nobody knows whether it was done, and let the run go on.
    Resolve(Resolve),
    /// Make a run that goes on from where another stood; that one is superseded.
    Fork {
        /// The parent; it must have ended, or wait.
        run: RunId,
        /// Its event up to which the new run is as it was: steps that had ended by then keep their outputs, and what
        /// others had been answered by then is not asked or done again.
        #[arg(long, value_name = "SEQ")]
        at: u64,
        /// Also where steps that begin anew have had effects after that, or writes committed, already.
        #[arg(long)]
        keep: bool,
    },
    /// Undo what a run that has ended did: rows that nobody has changed since, and what its steps can compensate.
    Rollback {
        /// The run.
        run: RunId,
        /// Only what began after this step had ended.
        #[arg(long, value_name = "STEP")]
        to: Option<StepName>,
        /// Only say what would be undone, and what could not be.
        #[arg(long)]
        dry_run: bool,
    },
    /// Run the finished attempts of a run again from its journal, offline, and compare.
    Replay {
        /// The run.
        run: RunId,
    },
    /// Drop runs that ended long ago, and the plans and components that no run needs any more.
    Gc {
        /// Those that ended more than so many days ago.
        #[arg(long, value_name = "DAYS", default_value_t = 6 * 365)]
        older_than: u32,
        /// Only say what would go.
        #[arg(long)]
        dry_run: bool,
    },
    /// Forget what a run said; that it took place, and when, still verifies.
    Erase {
        /// The run.
        run: RunId,
    },
    /// Show what was spent, is held, and is left.
    Cost {
        /// The run; all of them by default.
        run: Option<RunId>,
        /// Sum up by this.
        #[arg(long, value_enum, value_name = "WHAT")]
        by: Option<CostBy>,
    },
    /// Serve pages and an API, and keep timers and notifications going, until it is stopped.
    Serve {
        /// Where; by default what `wflo.toml` says, else 127.0.0.1:7878.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<std::net::SocketAddr>,
    },
    /// Show what waits to be told, and why.
    Outbox {
        /// Try all of it now.
        #[arg(long)]
        retry: bool,
    },
    /// Search folders of documents as steps do.
    Knowledge {
        #[command(subcommand)]
        command: Knowledge,
    },
    /// List what the steps of a run made and handed on by reference, and get it.
    Artifact {
        #[command(subcommand)]
        command: Artifact,
    },
    /// Manage the people kept in the store.
    Identity {
        #[command(subcommand)]
        command: Identity,
    },
    /// Show and rotate the keys of the store.
    Key {
        #[command(subcommand)]
        command: Key,
    },
    /// Show, export, verify and report the audit.
    Audit {
        #[command(subcommand)]
        command: Audit,
    },
    /// Make databases ready.
    Db {
        #[command(subcommand)]
        command: Db,
    },
    /// Compile a component from standard input to native code on standard output, within limits: what a command that
    /// needs the code starts.
    #[command(name = COMPILE, hide = true)]
    Compile {
        /// Settings and limits.
        order: String,
    },
    /// Play the fraud-detection example: set up, run, approved, audited.
    Demo {
        /// Where; made if it is not there.
        #[arg(default_value = "fraud-detection")]
        folder: PathBuf,
    },
}

/// What steps are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    Rust,
    Js,
    Ts,
    Python,
    Go,
    C,
}

/// A run to start.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The workflow's folder.
    pub(crate) folder: Option<PathBuf>,
    /// An input: text, or JSON where the input is not text.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    /// A file with a JSON object of inputs.
    #[arg(long, value_name = "FILE")]
    pub(crate) input_file: Option<PathBuf>,
    /// Idempotency key: the same key is the same run of the workflow; with other inputs, it is refused.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Only say what it may cost, and what runs of the workflow have cost before.
    #[arg(long)]
    pub(crate) estimate: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Judge everything in the workflow that would bind the given values, without running it.
    Test {
        /// A fact, a parameter of a named statement, or a field of an output: JSON, or text.
        #[arg(long = "fact", value_name = "NAME=VALUE")]
        facts: Vec<String>,
        /// An input: text, or JSON where the input is not text.
        #[arg(long, value_name = "NAME=VALUE")]
        input: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Knowledge {
    /// Show the passages that fit a question best.
    Search {
        /// The knowledge base, by its label in `wflo.toml`.
        label: Label,
        /// Words.
        #[arg(required = true, num_args = 1..)]
        query: Vec<String>,
        /// How many passages at most.
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
        top: u32,
    },
}

/// What became of a call.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("outcome").required(true).args(["done", "not_done", "compensate"]))]
pub(crate) struct Resolve {
    /// The run.
    pub(crate) run: RunId,
    /// The number of the call's intent, as `wflo show` gives it.
    #[arg(value_name = "SEQ")]
    pub(crate) intent: u64,
    /// It was done, and returned this: JSON, as the step is to get it.
    #[arg(long, value_name = "VALUE")]
    pub(crate) done: Option<String>,
    /// It was not done: the step's call is made anew.
    #[arg(long)]
    pub(crate) not_done: bool,
    /// Nobody will know: the step fails, and what it may have done is compensated.
    #[arg(long)]
    pub(crate) compensate: bool,
    /// Leave it to `wflo resume` to let the run go on.
    #[arg(long)]
    pub(crate) no_resume: bool,
}

/// What costs are summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CostBy {
    Step,
    Model,
    Workflow,
    /// The day the run was created, UTC.
    Day,
    /// Who asked for the run.
    Principal,
    /// The accounts above the runs: of the deployment and of each workflow, today and this month, with their limits.
    Account,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// Show exactly what is decided on.
    Show {
        /// The approval.
        id: ApprovalId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Approve {
    #[command(flatten)]
    pub(crate) vote: Vote,
    /// Change what is decided on to what this JSON file has, the arguments of a call or an output, and have others
    /// decide about that.
    #[arg(long, value_name = "FILE")]
    pub(crate) edit: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Vote {
    /// The approvals.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<ApprovalId>,
    /// Words to keep beside the vote.
    #[arg(long)]
    pub(crate) comment: Option<String>,
    /// Leave it to `wflo resume` to let the run go on.
    #[arg(long)]
    pub(crate) no_resume: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Artifact {
    /// List the artifacts of a run.
    List {
        /// The run.
        run: RunId,
    },
    /// Write an artifact to standard output, or to a file.
    Get {
        /// The run.
        run: RunId,
        /// The step that made it.
        step: StepName,
        /// Its name.
        name: ArtifactName,
        /// The item that made it, where the step fans out; counted from 0.
        #[arg(long, value_name = "N")]
        item: Option<u32>,
        /// Where to; standard output by default.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Identity {
    /// Add a person; their token is printed once and kept nowhere.
    Add {
        /// Their name.
        name: PrincipalName,
        /// A group they are in.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<GroupName>,
        /// What they may do at most: viewer only looks; approver also starts runs and decides; admin also manages
        /// people and keys.
        #[arg(long, value_parser = role, default_value = "approver")]
        role: Role,
        /// From when on they are nobody, such as `2026-12-31`.
        #[arg(long, value_name = "TIME")]
        expires: Option<Timestamp>,
    },
    /// Give a person another token, which is printed once; the old one opens nothing any more.
    Rotate {
        /// Their name.
        name: PrincipalName,
    },
    /// Let a person be nobody from a time on; at once by default.
    Expire {
        /// Their name.
        name: PrincipalName,
        /// From when on, such as `2026-12-31` or `2026-12-31T17:00:00Z`.
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
    },
    /// Let a person be nobody at once and for ever; sessions are over, and approvals not used yet are asked anew.
    Revoke {
        /// Their name.
        name: PrincipalName,
    },
    /// List the people there are, and those there were.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Print the events of a run in words; without a run, those of the store: people, logins, exports, changes.
    Show {
        /// The run.
        run: Option<RunId>,
        /// The store's own log; the same as to name no run.
        #[arg(long, conflicts_with = "run")]
        system: bool,
    },
    /// Write the audit file of a run, or of the store's own log.
    Export {
        /// The run.
        #[arg(required_unless_present = "system")]
        run: Option<RunId>,
        /// The store's own log.
        #[arg(long, conflicts_with = "run")]
        system: bool,
        /// Where to; standard output by default.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// A checkpoint that was kept elsewhere: the file then shows how the log goes on from it.
        #[arg(long, value_name = "CHECKPOINT")]
        since: Vec<PathBuf>,
    },
    /// Say who saw and changed what, who approved, overrode or was denied what, by time and person.
    Report {
        /// Only of this run.
        #[arg(long, value_name = "RUN")]
        run: Option<RunId>,
        /// Only from then on, such as `2026-01-31` or `2026-01-31T09:00:00Z`.
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Only before then.
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// Only by this person, or on their behalf.
        #[arg(long, value_name = "NAME")]
        person: Option<PrincipalName>,
        /// Only what is about this patient, or whatever else: `17`, or `patient_id=17` for one column. Also of runs that
        /// were erased, where it was the parameter of a named statement or a row filter.
        #[arg(long, value_name = "[COLUMN=]VALUE")]
        patient: Option<About>,
    },
    /// Verify an audit file, without a store, and say in words what is proven and what is not.
    Verify {
        /// The file.
        file: PathBuf,
        /// A key that you know to be the store's, as `wflo key show` prints it, or a file with one.
        #[arg(long, value_name = "KEY")]
        trust: Vec<String>,
        /// A checkpoint that was kept elsewhere: nothing under it was rewritten, or this says so.
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Make a PostgreSQL database ready for the steps of the workflow: once, and again when their grants have changed.
    ///
    /// It is the owner's to do: by the address in `WFLO_OWNER_URL`, or with what `--print` prints.
    Prepare {
        /// The database, as `wflo.toml` labels it.
        label: Label,
        /// Only print the statements.
        #[arg(long)]
        print: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Print the public key that signs checkpoints of the audit; with `--json`, also the newest checkpoint.
    Show,
    /// Have other keys sign checkpoints and open what is sealed.
    ///
    /// The old signing key still verifies old checkpoints, and hands on to the new one. The master key is changed in a
    /// new generation of the store, so that nothing the old one opens is left on the disk; a key that `wflo.toml` takes
    /// from the environment must be changed there afterwards.
    Rotate {
        /// Only this one.
        #[arg(long, value_enum, value_name = "KEY")]
        only: Option<WhichKey>,
        /// The new master key: the variable of the environment that has it as 64 hex digits. By default a random one,
        /// where the key is in a file.
        #[arg(long, value_name = "VARIABLE")]
        new_key: Option<String>,
    },
}

/// A key of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhichKey {
    /// The key that signs checkpoints of the audit.
    Signing,
    /// The key that opens everything that is sealed.
    Master,
}

fn role(text: &str) -> Result<Role, String> {
    Role::named(text).ok_or_else(|| "it is `viewer`, `approver` or `admin`".to_owned())
}

fn status(text: &str) -> Result<RunStatus, ValueError> {
    let text: StrDeserializer<'_, ValueError> = text.into_deserializer();
    RunStatus::deserialize(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
