//! `wflo record`: a file for `wflo test`, made of a run.

use std::path::{Path, PathBuf};

use wflo::Record;

use crate::args::Global;
use crate::failure::{Code, Failure};
use crate::project::{Project, shown};
use crate::session::{self, Session};
use crate::{print, say, terminal, test_file};

/// Makes a test of a step of a run, and writes it down: by default in `tests/`, under the name of the step.
pub(crate) async fn record(
    global: &Global,
    project: &Project,
    session: &mut Session,
    what: Record,
    out: Option<&Path>,
) -> Result<Code, Failure> {
    let Record { step, item, .. } = what.clone();
    let test = session.ask(session::RecordTest { what }).await?;
    let text = test_file::write(&test);
    if out == Some(Path::new("-")) {
        print(text.trim_end());
        return Ok(Code::Succeeded);
    }
    let file = match out {
        Some(file) => file.to_owned(),
        None => {
            let item = item.map(|item| format!("-{item}")).unwrap_or_default();
            let file: PathBuf = project.dir.join("tests").join(format!("{step}{item}.toml"));
            if file.exists() {
                return Err(Failure::usage(format!("`{}` is there already", shown(&file)))
                    .hint("`--out FILE` names another, or the same to write it anew"));
            }
            file
        }
    };
    let failed = |error: std::io::Error| Failure::usage(format!("`{}`: {error}", file.display()));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(&file, &text).map_err(failed)?;
    if global.json {
        print(&serde_json::json!({ "file": file.display().to_string(), "test": test }).to_string());
        return Ok(Code::Succeeded);
    }
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let then = match is_test(project, &file) {
        true => format!("`wflo test {}` runs it", terminal::quoted(&name)),
        false => "`wflo test` runs it when it is in `tests/`, and ends with `.toml`".to_owned(),
    };
    say(&format!("wrote `{}`, with {}; {then}", shown(&file), calls(test.tape.len())));
    Ok(Code::Succeeded)
}

/// Whether `wflo test` finds a file.
fn is_test(project: &Project, file: &Path) -> bool {
    let folder = file.canonicalize().ok().and_then(|file| Some(file.parent()?.to_owned()));
    let tests = project.dir.join("tests").canonicalize().ok();
    folder.is_some() && folder == tests && file.extension().is_some_and(|extension| extension == "toml")
}

/// How many calls that is, in words.
pub(super) fn calls(count: usize) -> String {
    match count {
        0 => "no calls".to_owned(),
        1 => "1 call".to_owned(),
        count => format!("{count} calls"),
    }
}
