//! `wflo new`: a project that builds, checks and runs as it is, and has a test.

mod sdk;
mod template;

use std::path::Path;

use serde::Serialize;
use wflo_model::WorkflowName;

use self::sdk::Sdk;
use crate::args::Lang;
use crate::failure::Failure;
use crate::terminal;

/// What was made.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    project: String,
    language: &'static str,
    /// Where the SDK comes from: a folder, or a registry's name for it.
    sdk: String,
    #[serde(skip)]
    lang: Lang,
}

/// Makes a project in a folder of its name, below `parent`.
pub(crate) fn new(
    parent: &Path,
    name: &WorkflowName,
    lang: Lang,
    sdk_path: Option<&Path>,
) -> Result<Made, Failure> {
    let folder = parent.join(name.as_str());
    let is_taken = folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if is_taken || folder.is_file() {
        return Err(Failure::usage(format!("`{}` is there already", folder.display()))
            .hint("give the project another name, or make it elsewhere with `--dir`"));
    }
    let sdk = Sdk::find(sdk_path)?;
    let language = template::language(lang);
    let values = [
        ("name", name.as_str().to_owned()),
        ("repository", env!("CARGO_PKG_REPOSITORY").to_owned()),
        ("language", language.to_owned()),
        ("install", template::install(lang).to_owned()),
        ("test", template::test(lang).to_owned()),
        ("sdk", sdk.dependency(lang)),
    ];
    for (path, text) in template::files(lang) {
        let file = folder.join(path);
        let made = std::fs::create_dir_all(file.parent().unwrap_or(&folder))
            .and_then(|()| std::fs::write(&file, filled(text, &values)));
        made.map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))?;
    }
    Ok(Made { project: folder.display().to_string(), language, sdk: sdk.words(lang), lang })
}

fn filled(text: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

impl Made {
    /// As people read it: what there is, and what to do next.
    pub(crate) fn words(&self) -> String {
        let Self { project, language, sdk, lang } = self;
        let folder = terminal::quoted(project);
        format!(
            "made `{project}`, with a step in {language}; the SDK is {sdk}\n\n  cd {folder}\n  wflo build{}\n  \
             wflo test\n  wflo run --input name=Ada\n",
            template::install(*lang)
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::new;
    use crate::args::Lang;

    #[test]
    fn every_template_is_a_workflow_without_holes() {
        for lang in Lang::value_variants() {
            let folder = tempfile::tempdir().unwrap();
            let name = "my-flow".parse().unwrap();
            let made = new(folder.path(), &name, *lang, None).unwrap();
            assert!(made.words().contains("wflo build"), "{made:?}");
            let project = folder.path().join("my-flow");
            let manifest = std::fs::read_to_string(project.join("workflow.toml")).unwrap();
            let workflow = wflo_manifest::Workflow::parse("workflow.toml", &manifest).unwrap();
            assert_eq!(workflow.name().as_str(), "my-flow");
            wflo_manifest::Deployment::parse(
                "wflo.toml",
                &std::fs::read_to_string(project.join("wflo.toml")).unwrap(),
            )
            .unwrap();
            let mut folders = vec![project.clone()];
            while let Some(folder) = folders.pop() {
                for entry in folder.read_dir().unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                        continue;
                    }
                    let text = std::fs::read_to_string(&path).unwrap();
                    assert!(!text.contains("{{"), "{}: {text}", path.display());
                }
            }
            let again = new(folder.path(), &name, *lang, None).unwrap_err().to_string();
            assert!(again.contains("is there already"), "{again}");
        }
    }
}
