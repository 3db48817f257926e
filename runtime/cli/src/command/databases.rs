//! What `wflo check` says of databases, and `wflo db prepare`.

use std::collections::BTreeSet;

use wflo_backends::db::MadeUp;
use wflo_backends::db::postgres::{Postgres, Preparation};
use wflo_backends::db::sqlite::Sqlite;
use wflo_manifest::{ApprovalAt, DbBinding, Diagnostics, Plan, PlanStep};
use wflo_model::{DbAccess, Label};
use wflo_ports::{Database as _, DbError, Uncapturable};

use super::check::known;
use crate::args::Global;
use crate::failure::{Code, Failure};
use crate::project::{Pinned, Project, shown, variable};
use crate::{print, say, terminal};

/// The variable with the address by which the owner of a database logs in.
const OWNER: &str = "WFLO_OWNER_URL";

/// Holds the steps against the databases they use, where these are there to be looked at: whether what is to be undone can
/// be, and whether a login role may do more than steps are granted.
pub(super) async fn check(
    project: &Project,
    pinned: &Pinned,
    found: &mut Diagnostics,
) -> Result<(), Failure> {
    let deploy = project.deploy()?;
    for (label, binding) in &project.deployment.db {
        if !pinned.plan.steps.iter().any(|step| step.grants.db.contains_key(label)) {
            continue;
        }
        let failed = |error| Failure::usage(format!("database `{label}`: {error}"));
        match binding {
            DbBinding::Sqlite { path } => {
                let path = deploy.beside(path);
                if !path.is_file() {
                    found.extend(pinned.workflow.no_database(label, &shown(&path)));
                } else {
                    let tables = granted(&pinned.plan, label);
                    let tables = tables.iter().map(String::as_str);
                    let absent = tokio::task::block_in_place(|| Sqlite::absent_at(&path, tables));
                    for table in absent.map_err(failed)? {
                        found.extend(pinned.workflow.no_table(label, table));
                    }
                    let audit = project.deployment.audit_of(label);
                    let audit = audit.iter().map(String::as_str);
                    let absent = tokio::task::block_in_place(|| Sqlite::absent_at(&path, audit));
                    say_no_audit(pinned, label, &absent.map_err(failed)?, found);
                    for (step, tables) in undoing(&pinned.plan, label) {
                        let tables = tables.iter().map(String::as_str);
                        let kept = tokio::task::block_in_place(|| Sqlite::uncapturable_at(&path, tables));
                        say_unkept(pinned, label, step, &kept.map_err(failed)?, found);
                    }
                    for (step, tables) in deciding(&pinned.plan, label) {
                        let tables = tables.iter().map(String::as_str);
                        let made_up = tokio::task::block_in_place(|| Sqlite::made_up_at(&path, tables));
                        say_made_up(pinned, label, step, &made_up.map_err(failed)?, found);
                    }
                    for (step, access) in filtering(&pinned.plan, label) {
                        let against = tokio::task::block_in_place(|| Sqlite::unfilterable_at(&path, access));
                        for (table, why) in against.map_err(failed)? {
                            found.extend(pinned.workflow.unfiltered(step, label, &table, &why));
                        }
                    }
                }
            }
            DbBinding::Postgres { read_url, write_url } => {
                // A check needs no secrets: what cannot be looked at is said.
                let looked = match deploy.postgres(&project.deployment, label, read_url, write_url.as_ref()) {
                    Ok(database) => look(&database, project, pinned, label, found)
                        .await
                        .map_err(|error| error.to_string()),
                    Err(failure) => Err(failure.to_string()),
                };
                if let Err(why) = looked {
                    let why = why.trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned();
                    let why = format!("it was not looked at: {why}");
                    found.extend(pinned.workflow.bound(label, false, &why));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

async fn look(
    database: &Postgres,
    project: &Project,
    pinned: &Pinned,
    label: &Label,
    found: &mut Diagnostics,
) -> Result<(), DbError> {
    let (reads_as, writes_as) = database.roles();
    let (preparation, wrong) = preparation(&pinned.plan, label, Preparation::new(reads_as, writes_as));
    for why in wrong {
        found.extend(pinned.workflow.bound(label, false, &why));
    }
    let walls = database.walls(&preparation).await?;
    let is_refused = walls.iter().any(|wall| wall.refused);
    for wall in walls {
        found.extend(pinned.workflow.bound(label, wall.refused, &wall.why));
    }
    let absent = database.absent(&granted(&pinned.plan, label)).await?;
    for table in &absent {
        found.extend(pinned.workflow.no_table(label, table));
    }
    let absent = database.absent(&project.deployment.audit_of(label)).await?;
    say_no_audit(pinned, label, &absent, found);
    // What may not be looked at has been said.
    let mut said = BTreeSet::new();
    for (step, tables) in undoing(&pinned.plan, label) {
        let mut kept = match database.uncapturable(&tables).await {
            Err(DbError::Denied(_)) if is_refused => continue,
            kept => kept?,
        };
        // At the first step that writes the table: what is to be done about it is done once.
        kept.retain(|it| said.insert(it.table.clone()));
        say_unkept(pinned, label, step, &kept, found);
    }
    for (step, tables) in deciding(&pinned.plan, label) {
        say_made_up(pinned, label, step, &database.made_up(&tables).await?, found);
    }
    for (step, access) in filtering(&pinned.plan, label) {
        let against = match database.unfilterable(access).await {
            Err(DbError::Denied(_)) if is_refused => continue,
            against => against?,
        };
        for (table, why) in against {
            found.extend(pinned.workflow.unfiltered(step, label, &table, &why));
        }
    }
    Ok(())
}

/// The tables of a database that steps are granted.
fn granted(plan: &Plan, label: &Label) -> BTreeSet<String> {
    let accesses = plan.steps.iter().filter_map(|step| step.grants.db.get(label));
    accesses.flat_map(|access| access.read.keys().chain(access.write.keys()).cloned()).collect()
}

/// The steps whose writes are to be undone, with the tables they write.
fn undoing<'p>(
    plan: &'p Plan,
    label: &'p Label,
) -> impl Iterator<Item = (&'p wflo_model::StepName, Vec<String>)> {
    writing(plan, label, |step| step.rollback)
}

/// The steps at whose commit people decide, with the tables they write.
fn deciding<'p>(
    plan: &'p Plan,
    label: &'p Label,
) -> impl Iterator<Item = (&'p wflo_model::StepName, Vec<String>)> {
    writing(plan, label, |step| step.approval.as_ref().is_some_and(|it| it.at == ApprovalAt::Commit))
}

/// Some steps, with the tables of a database that they write.
fn writing<'p>(
    plan: &'p Plan,
    label: &'p Label,
    which: impl Fn(&PlanStep) -> bool,
) -> impl Iterator<Item = (&'p wflo_model::StepName, Vec<String>)> {
    plan.steps.iter().filter(move |step| which(step)).filter_map(move |step| {
        let access = step.grants.db.get(label)?;
        Some((&step.name, access.write.keys().cloned().collect()))
    })
}

/// An audit table that is not there keeps nothing back, and leaves nothing out.
fn say_no_audit(pinned: &Pinned, label: &Label, absent: &[impl AsRef<str>], found: &mut Diagnostics) {
    for table in absent {
        let why = format!("`audit` names table `{}`, which is not there", table.as_ref());
        found.extend(pinned.workflow.bound(label, false, &why));
    }
}

fn say_made_up(
    pinned: &Pinned,
    label: &Label,
    step: &wflo_model::StepName,
    made_up: &[MadeUp],
    found: &mut Diagnostics,
) {
    for it in made_up {
        found.extend(pinned.workflow.made_up(step, label, (&it.table, &it.column), &it.from));
    }
}

/// The steps that were granted some rows of a table only.
fn filtering<'p>(
    plan: &'p Plan,
    label: &'p Label,
) -> impl Iterator<Item = (&'p wflo_model::StepName, &'p DbAccess)> {
    let accesses = plan.steps.iter().filter_map(move |step| Some((&step.name, step.grants.db.get(label)?)));
    accesses.filter(|(_, access)| access.filters().next().is_some())
}

fn say_unkept(
    pinned: &Pinned,
    label: &Label,
    step: &wflo_model::StepName,
    unkept: &[Uncapturable],
    found: &mut Diagnostics,
) {
    for it in unkept {
        found.extend(pinned.workflow.unkept(step, label, &it.table, &it.why));
    }
}

/// `wflo db prepare`: what the owner of a PostgreSQL database does once, printed or done.
pub(super) async fn prepare(global: &Global, label: &Label, prints: bool) -> Result<Code, Failure> {
    let project = Project::find(global, None)?;
    let pinned = project.pin(&known(&project).await?).await?;
    let wrong = |found: Diagnostics| Failure::rendered(Code::Usage, found.render(terminal::stderr_colors()));
    let plan = pinned.map_err(wrong)?.plan;
    let (read_url, write_url) = match project.deployment.db.get(label) {
        Some(DbBinding::Postgres { read_url, write_url }) => (read_url, write_url.as_ref()),
        Some(_) => {
            return Err(Failure::usage(format!(
                "database `{label}` needs no preparation: it is no PostgreSQL database"
            )));
        }
        None => return Err(Failure::usage(format!("the deployment binds no database `{label}`"))),
    };
    let database = project.deploy()?.postgres(&project.deployment, label, read_url, write_url)?;
    let (reads_as, writes_as) = database.roles();
    let (preparation, wrong) = preparation(&plan, label, Preparation::new(reads_as, writes_as));
    if let Some(why) = wrong.first() {
        return Err(Failure::usage(format!("database `{label}`: {why}")));
    }
    if prints {
        print(preparation.script().trim_end());
        return Ok(Code::Succeeded);
    }
    let owner = variable(OWNER).ok_or_else(|| {
        Failure::usage(format!("`{OWNER}` is not set")).hint(
            "set it to the address by which the owner of the database logs in, or have the owner run what `--print` prints",
        )
    })?;
    preparation
        .run(&owner)
        .await
        .map_err(|error| Failure::usage(format!("database `{label}` is as it was: {error}")))?;
    say(&format!("database `{label}` is prepared"));
    Ok(Code::Succeeded)
}

/// What the steps of a plan need in a database, and what is wrong with named statements, which are then left out.
fn preparation(plan: &Plan, label: &Label, mut preparation: Preparation) -> (Preparation, Vec<String>) {
    let mut wrong = Vec::new();
    for step in &plan.steps {
        let Some(access) = step.grants.db.get(label) else { continue };
        preparation.grant(access);
        if step.rollback {
            preparation.undo(access);
        }
        for name in &access.call {
            let Some(statement) = plan.statements.get(label).and_then(|named| named.get(name)) else {
                continue;
            };
            if let Err(error) = preparation.statement(&statement.sql, statement.only_reads()) {
                wrong.push(format!("statement `{name}`: {error}"));
            }
        }
    }
    (preparation, wrong)
}
