//! Literature review: a hundred papers, each fetched and analysed once, whatever happens; and what the principal
//! investigator approves is published.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Project, Provider, approval_of, binary, eventually};

/// The university on loopback, and the project set up to reach it.
pub(crate) struct University {
    child: Child,
    folder: PathBuf,
}

impl University {
    pub(crate) fn start(project: &Project, args: &[&str]) -> Self {
        let folder = project.path("university");
        let mut child = Command::new(binary("literature-data"))
            .arg(&folder)
            .args(["--port", "0", "--mail-port", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the university starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let lines = BufReader::new(stdout).lines().take(3).map(|line| line.expect("it says where it is"));
        let addresses: Vec<String> =
            lines.map(|line| line.split_whitespace().last().expect("an address").to_owned()).collect();
        let port = |n: usize| {
            let (_, rest) = addresses[n].rsplit_once(':').expect("an address has a port");
            rest.split('/').next().expect("a port").to_owned()
        };
        project.edit("workflow.toml", "127.0.0.1:8093", &format!("127.0.0.1:{}", port(0)));
        project.edit("wflo.toml", "127.0.0.1:8094", &format!("127.0.0.1:{}", port(2)));
        Self { child, folder }
    }

    /// What was answered, request by request.
    fn answered(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join("requests.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// The single papers that were asked for and answered.
    fn papers(&self) -> Vec<String> {
        let papers = self.answered().into_iter();
        papers.filter_map(|line| Some(line.split_once("id_list=")?.1.to_owned())).collect()
    }

    fn publications(&self) -> Vec<Value> {
        let Ok(files) = self.folder.join("publications").read_dir() else { return Vec::new() };
        let read = |file: fs::DirEntry| fs::read(file.path()).expect("a publication");
        files.flatten().map(|file| serde_json::from_slice(&read(file)).expect("JSON")).collect()
    }

    fn mail(&self) -> Vec<String> {
        let files = self.folder.join("mail").read_dir().expect("mailboxes").flatten();
        let letters = files.map(|file| file.path()).filter(|path| path.extension().is_some());
        letters.map(|path| fs::read_to_string(path).expect("a letter")).collect()
    }

    /// Answers what it was told to hold.
    fn go_on(&self) {
        fs::write(self.folder.join("go-on"), "").expect("a file");
    }
}

impl Drop for University {
    fn drop(&mut self) {
        // Ending a child that has ended is no error worth a test's failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn review() -> (Project, [String; 2]) {
    let project = Project::new("literature-review");
    let token = |args: &[&str]| {
        let added = project.wflo(&[&["identity", "add"], args].concat()).expect_code(0);
        added.stdout.trim().to_owned()
    };
    let tokens = [token(&["pia", "--group", "principal-investigator"]), token(&["mallory"])];
    (project, tokens)
}

#[track_caller]
fn id(run: &Value) -> &str {
    run["run"].as_str().expect("a run has an id")
}

#[track_caller]
fn step<'a>(run: &'a Value, name: &str) -> &'a Value {
    let steps = run["steps"].as_array().expect("a run has steps");
    steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step `{name}`: {run}"))
}

fn is_each_once(papers: &[String]) -> bool {
    papers.iter().collect::<BTreeSet<_>>().len() == papers.len()
}

#[test]
fn a_hundred_papers_are_reviewed_and_published_when_the_investigator_has_approved() {
    let (project, [pia, mallory]) = review();
    let university = University::start(&project, &[]);
    project.wflo(&["check"]).expect_code(0);
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let all = json!({ "total": 100, "succeeded": 100, "waiting": 0, "failed": 0 });
    assert_eq!(step(&run, "analyze_papers")["items"], all);
    let papers = university.papers();
    assert!(papers.len() == 100 && is_each_once(&papers), "{papers:?}");
    let synthesis = &step(&run, "synthesize_findings")["output"];
    let spoken_of =
        synthesis["themes"].as_array().into_iter().flatten().filter_map(|theme| theme["papers"].as_u64());
    assert_eq!(spoken_of.sum::<u64>(), 100, "{synthesis}");

    // The mail says what is asked, and publishes nothing.
    let mail = university.mail();
    let approval = approval_of(&run);
    assert!(
        mail.len() == 1 && mail[0].contains(&approval) && mail[0].contains("To: pi@university.edu"),
        "{mail:?}"
    );
    let shown = project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
    assert_eq!(
        &shown["shows"]["depends_on"]["synthesize_findings"], synthesis,
        "they decide on what is published"
    );
    project.wflo_as("mallory", &mallory, &["approve", &approval]).expect_code(3);
    assert!(university.publications().is_empty());
    let run = project.wflo_as("pia", &pia, &["approve", &approval, "--json"]).expect_code(0).json();
    assert_eq!(university.publications(), std::slice::from_ref(synthesis));
    assert_eq!(
        step(&run, "publish_findings")["output"],
        json!({ "published": true, "location": "/publications/1" })
    );

    let asked = university.answered().len();
    project.wflo(&["replay", id(&run)]).expect_code(0);
    assert_eq!(university.answered().len(), asked, "a replay asks nobody");

    // The same tape gives the same synthesis, byte for byte.
    let again = project.wflo(&["run", "--json"]).expect_code(10).json();
    assert_eq!(step(&again, "synthesize_findings")["output"].to_string(), synthesis.to_string());
    assert_ne!(id(&again), id(&run));
    assert_eq!(again["cost_usd"], run["cost_usd"]);
    let rejected =
        project.wflo_as("pia", &pia, &["reject", &approval_of(&again), "--comment", "too soon", "--json"]);
    let rejected = rejected.expect_code(1).json();
    assert!(rejected["error"].as_str().is_some_and(|why| why.contains("too soon")), "{rejected}");
    assert_eq!(university.publications().len(), 1);
}

#[test]
fn killed_at_paper_57_it_repeats_none_of_the_56() {
    let (project, [pia, _]) = review();
    let university = University::start(&project, &["--hold-after", "56"]);
    let provider = Provider::start(&project, &[]);
    project.use_provider(&provider);
    let mut child = project.command(&["run"]).spawn().expect("the command starts");
    let mut run = String::new();
    eventually("56 papers are analysed", || {
        let runs = project.wflo(&["runs", "--json"]).expect_code(0).json();
        let Some(found) = runs[0]["run"].as_str() else { return false };
        run = found.to_owned();
        let view = project.wflo(&["show", &run, "--json"]).expect_code(0).json();
        step(&view, "analyze_papers")["items"]["succeeded"] == 56
    });
    child.kill().expect("the command is there to be killed");
    child.wait().expect("it ends");
    assert_eq!((university.papers().len(), provider.requests()), (56, 56));

    university.go_on();
    let resumed = project.wflo(&["resume", &run, "--json"]).expect_code(10).json();
    assert_eq!(step(&resumed, "analyze_papers")["items"]["succeeded"], 100);
    assert_eq!(step(&resumed, "analyze_papers")["attempts"], 100, "a crash is no attempt");
    let papers = university.papers();
    assert!(papers.len() == 100 && is_each_once(&papers), "a paper was asked for twice: {papers:?}");
    let logged = fs::read_to_string(project.path("provider.log")).expect("the provider's log");
    let analyses = logged.lines().filter(|line| line.contains("Analyze this research paper")).count();
    assert_eq!(analyses, 100, "the model was asked twice about a paper");
    let done =
        project.wflo_as("pia", &pia, &["approve", &approval_of(&resumed), "--json"]).expect_code(0).json();
    assert_eq!(university.publications().len(), 1);
    project.wflo(&["replay", id(&done)]).expect_code(0);
}

#[test]
fn a_library_that_is_closed_for_a_while_is_asked_again_and_one_that_talks_nonsense_is_not() {
    let (project, _) = review();
    // The search itself has one attempt, the papers have three.
    let university = University::start(&project, &["--fail", "1"]);
    let run = project.wflo(&["run", "--json", "--input", "limit=3"]).expect_code(1).json();
    assert!(run["error"].as_str().is_some_and(|why| why.contains("503")), "{run}");
    drop(university);

    let (project, _) = review();
    let _university = University::start(&project, &["--garbage"]);
    let run = project.wflo(&["run", "--json"]).expect_code(1).json();
    assert_eq!(
        (&run["steps"][0]["status"], &run["steps"][0]["attempts"]),
        (&json!("failed"), &json!(1)),
        "{run}"
    );
    assert_eq!(run["cost_usd"], "0");
}

#[test]
fn money_that_is_gone_parks_the_run_and_more_lets_it_go_on() {
    let (project, [pia, _]) = review();
    let university = University::start(&project, &[]);
    project.edit(
        "workflow.toml",
        "budget_usd = \"50.00\"",
        "budget_usd = \"0.50\"\nbudget_approvers = [\"principal-investigator\"]",
    );
    let run = project.wflo(&["run", "--json"]).expect_code(11).json();
    let done = step(&run, "analyze_papers")["items"]["succeeded"].as_u64().expect("a number");
    assert!((1..100).contains(&done), "{run}");
    assert_eq!(run["waiting_for"][0]["kind"], "budget", "{run}");
    project.wflo(&["top-up", id(&run), "49.50"]).expect_code(10);
    let waiting = project.wflo(&["show", id(&run), "--json"]).expect_code(0).json();
    let granted =
        project.wflo_as("pia", &pia, &["approve", &approval_of(&waiting), "--json"]).expect_code(10).json();
    assert_eq!(step(&granted, "analyze_papers")["items"]["succeeded"], 100);
    let papers = university.papers();
    assert!(is_each_once(&papers), "waiting for money repeats nothing: {papers:?}");
}

#[test]
fn nothing_is_asked_for_that_was_not_granted() {
    let (project, _) = review();
    let university = University::start(&project, &[]);
    let elsewhere = "papers=http://127.0.0.1:9/api/query";
    let run = project.wflo(&["run", "--json", "--input", elsewhere]).expect_code(1).json();
    assert!(run["error"].as_str().is_some_and(|why| why.contains("access denied")), "{run}");
    assert!(university.answered().is_empty());
}
