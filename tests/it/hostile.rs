//! `tests/programs/expectations.toml`, the half that needs a workflow around it: hostile guests in the whole command,
//! with a real database, real servers and a real journal. The other half is in `runtime/sandbox/tests/it/hostile.rs`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::harness::{Output, Project, root, terraform};
use crate::mailbox::Mailbox;
use crate::notify::Inbox;

/// What is read here; the rest is for the other half.
#[derive(Deserialize)]
struct Expectations {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    program: String,
    #[serde(default)]
    step: String,
    /// Lines of its step in `workflow.toml`, beside its grants.
    #[serde(default)]
    given: String,
    #[serde(default)]
    inputs: serde_json::Map<String, Value>,
    fault: Option<String>,
    limit: Option<String>,
    failed: Option<String>,
    denied: Option<String>,
    output: Option<String>,
    parked: Option<String>,
    #[serde(default)]
    says: Vec<String>,
    #[serde(default)]
    logs: Vec<String>,
}

/// The guests, built before the first test that needs one.
static GUESTS: LazyLock<PathBuf> = LazyLock::new(|| {
    let programs = root().join("tests/programs");
    let status = Command::new(env!("CARGO"))
        .current_dir(&programs)
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir", "target"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "the guests do not build; is the target there?");
    programs.join("target/wasm32-wasip2/release")
});

#[test]
fn a_guest_that_goes_for_its_limits_ends_there() {
    play("rogue", "");
}

#[test]
fn a_guest_that_goes_for_other_data_gets_none() {
    play(
        "burglar",
        "grants.db.bank = { read = [\"accounts\", \"notes\", \"everybody\", { table = \"patients\", where = \"id = 17\" }], \
         write = [\"notes\", { table = \"patients\", where = \"id = 17\" }] }\ngrants.llm = [\"gpt-4\"]\n",
    );
}

/// The same doors, with the bank in a PostgreSQL database whose login roles may read the secrets, as they would for other
/// steps. A door of SQLite's own is none here, so how it stays shut may differ; that it does may not.
#[test]
fn a_guest_that_goes_for_other_data_gets_none_from_postgresql() {
    let stage = Stage::new("burglar");
    let bank = wflo_test_postgres::database();
    bank.sql(BANK);
    let (read, write) = (bank.url("read"), bank.url("write"));
    let bound = format!("read_url = \"{read}\"\nwrite_url = \"{write}\"");
    stage.project.edit("wflo.toml", "url = \"sqlite:bank.db\"", &bound);
    let grants = "grants.db.bank = { read = [\"accounts\", \"notes\", { table = \"patients\", where = \"id = 17\" }], \
                  write = [\"notes\", { table = \"patients\", where = \"id = 17\" }] }\ngrants.llm = [\"gpt-4\"]\n";
    let table = expectations();
    let is_of_sql = |case: &&Case| {
        let is_of_bank = !case.inputs.contains_key("db") && case.step != "call";
        case.program == "burglar"
            && is_of_bank
            && (case.inputs.contains_key("sql") || case.step.contains("query"))
    };
    let cases: Vec<&Case> = table.case.iter().filter(is_of_sql).collect();
    assert!(cases.len() > 35, "{} cases", cases.len());
    stage.project.write("workflow.toml", &stage.manifest(cases[0], grants));
    Output::of(stage.project.command(&["db", "prepare", "bank"]).env("WFLO_OWNER_URL", bank.url("owner")))
        .expect_code(0);
    bank.sql(&format!("GRANT SELECT ON secrets, everybody TO {0}_read, {0}_write", bank.name()));
    let everything = || {
        let tables = ["accounts", "notes", "secrets", "patients"];
        bank.sql(
            &tables
                .map(|table| format!("SELECT string_agg(t::text, ';' ORDER BY t::text) FROM {table} t;"))
                .concat(),
        )
    };
    let before = everything();
    for case in cases {
        let run = stage.run(case, grants).expect_code(0);
        let view = run.json();
        let said = view["steps"][0]["output"].as_str().expect("the guest says what came of it").to_owned();
        let name = format!("{} {:?}: {said}", case.step, case.inputs);
        let is_refused = said.starts_with("Error::") || said.starts_with("Err(Error::");
        match case.output.as_deref().filter(|expect| !expect.starts_with("/Error")) {
            // A door of SQLite's own, behind which there is only what was granted.
            Some(_) if is_refused && ["temp.", "json("].iter().any(|own| name.contains(own)) => {}
            Some(expect) => {
                let expect = expect.strip_prefix('/').map(ToOwned::to_owned);
                let whole = case.output.as_deref().and_then(|text| serde_json::from_str::<String>(text).ok());
                assert!(expect.or(whole).is_some_and(|expect| said.contains(&expect)), "{name}");
            }
            None => assert!(is_refused, "{name}"),
        }
        assert!(!said.contains("s3same") || name.contains("'s3same'"), "{name}");
        assert_eq!(everything(), before, "{name}");
        stage.project.wflo(&["replay", view["run"].as_str().expect("a run has an id")]).expect_code(0);
    }
}

#[test]
fn a_guest_that_goes_for_other_servers_reaches_none() {
    play("courier", "grants.http = [\"GET {site}/api/*\"]\n");
}

#[test]
fn a_guest_that_writes_to_others_reaches_nobody() {
    play(
        "postman",
        "grants.mail = [\"*@example.org\"]\ngrants.notify = [\"slack://team\"]\ngrants.knowledge = [\"help\"]\n",
    );
}

#[test]
fn a_guest_that_goes_for_more_than_infrastructure_is_stopped_before_terraform_sees_it() {
    play(
        "vandal",
        "grants.terraform = [{ label = \"prod\", allow = [\"plan\"] }, { label = \"other\", allow = [\"apply\"] }]\n",
    );
}

/// The whole table.
fn expectations() -> Expectations {
    let text = std::fs::read_to_string(root().join("tests/programs/expectations.toml")).expect("the table");
    toml_edit::de::from_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// What the bank holds, in words that every database understands.
const BANK: &str = "CREATE TABLE accounts (id TEXT); INSERT INTO accounts VALUES ('1');
    CREATE TABLE notes (text TEXT);
    CREATE TABLE secrets (word TEXT); INSERT INTO secrets VALUES ('s3same');
    CREATE TABLE patients (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
    INSERT INTO patients VALUES (17, 'Ada'), (18, 's3same');
    CREATE VIEW everybody AS SELECT * FROM patients;";

/// Plays every case of a program, and tells all that ended in another way than it must.
fn play(program: &str, grants: &str) {
    let table = expectations();
    let stage = Stage::new(program);
    let cases = table.case.iter().filter(|case| case.program == program);
    let wrong: Vec<_> = cases.filter_map(|case| stage.play(case, grants).err()).collect();
    assert!(wrong.is_empty(), "{} cases ended in another way:\n\n{}", wrong.len(), wrong.join("\n\n"));
    stage.look_around();
}

/// A project in which one case after another is played, with a bank, two servers, one for mail, and one for channels.
struct Stage {
    project: Project,
    site: Site,
    other: Site,
    mailbox: Mailbox,
    inbox: Inbox,
}

impl Stage {
    fn new(program: &str) -> Self {
        let project = Project::new("hello");
        let component = format!("{program}.wasm");
        std::fs::copy(GUESTS.join(&component), project.path(&component)).expect("the guest is built");
        for (file, schema) in [
            ("bank.db", BANK),
            ("payroll.db", "CREATE TABLE pay (name TEXT); INSERT INTO pay VALUES ('s3same');"),
        ] {
            let db = rusqlite::Connection::open(project.path(file)).expect("a database");
            db.execute_batch(schema).expect("its tables");
        }
        lend(&project);
        project.write("tape.jsonl", "");
        for folder in ["kb", "other-kb", "prod", "other"] {
            std::fs::create_dir(project.path(folder)).expect("a folder");
        }
        project.write("kb/help.md", "# Help\n\nCall us.\n");
        project.write("other-kb/pay.md", "# Pay\n\ns3same\n");
        for folder in ["prod", "other"] {
            project.write(&format!("{folder}/main.tf"), "output \"a\" { value = 1 }\n");
        }
        let (mailbox, inbox) = (Mailbox::start(), Inbox::start());
        let people = format!(
            "[mail]\nsmtp = \"{}\"\n[channel.\"slack://team\"]\nwebhook = \"{hook}/team\"\n\
             [channel.\"slack://boss\"]\nwebhook = \"{hook}/boss\"\n\
             [knowledge.help]\npath = \"kb\"\n[knowledge.other]\npath = \"other-kb\"\n",
            mailbox.url,
            hook = inbox.address
        );
        let terraform = terraform();
        let folders = format!(
            "[terraform.prod]\ndir = \"prod\"\nbinary = \"{terraform}\"\n\
             [terraform.other]\ndir = \"other\"\nbinary = \"{terraform}\"\n"
        );
        project.write(
            "wflo.toml",
            &(people
                + &folders
                + "[db.bank]\nurl = \"sqlite:bank.db\"\n[db.payroll]\nurl = \"sqlite:payroll.db\"\n\
                   [llm.tape]\nkind = \"cassette\"\npath = \"tape.jsonl\"\nmodels = [\"gpt-4\", \"gpt-4o\"]\n"),
        );
        let other = Site::start(None);
        Self { project, site: Site::start(Some(other.address())), other, mailbox, inbox }
    }

    /// Plays a case: it ends as expected, its journal says so, and it does the same in replay.
    fn play(&self, case: &Case, grants: &str) -> Result<(), String> {
        let name = format!("{} {} {}", case.program, case.step, Value::Object(case.inputs.clone()));
        let run = self.run(case, grants);
        let ran = run.stdout.clone();
        let bad = |what: &str| Err(format!("{name}: {what}\n    {}{}", ran.trim_end(), run.stderr));
        let Ok(view) = serde_json::from_str::<Value>(&run.stdout) else { return bad("it did not run") };
        let id = view["run"].as_str().expect("a run has an id");
        let error = view["error"].as_str().unwrap_or_default();
        let output = &view["steps"][0]["output"];
        let said =
            format!("{error}{}", output.as_str().map_or_else(|| output.to_string(), ToOwned::to_owned));

        let code = match (&case.fault, &case.failed, &case.denied, &case.output, &case.parked) {
            (Some(kind), None, None, None, None) => {
                if !error.contains(&format!("{kind}: ")) {
                    return bad(&format!("no fault `{kind}`"));
                }
                if let Some(limit) = &case.limit
                    && !error.contains(&format!("(`{limit}`)"))
                {
                    return bad(&format!("the fault does not name `{limit}`"));
                }
                1
            }
            (None, Some(words), None, None, None) => {
                if !error.contains(words) {
                    return bad("another failure");
                }
                1
            }
            (None, None, Some(call), None, None) => {
                let Some(event) = self.denial(id, call) else {
                    return bad(&format!("no denial of `{call}` in the journal"));
                };
                let said = format!("{event} {said}");
                if !case.says.iter().all(|words| said.contains(words)) {
                    return bad(&format!("does not say {:?}: {event}", case.says));
                }
                0
            }
            (None, None, None, Some(expect), None) => {
                let is = match expect.strip_prefix('/') {
                    Some(part) => said.contains(part),
                    None => serde_json::from_str::<Value>(expect).expect("JSON") == *output,
                };
                if !is {
                    return bad(&format!("another output than {expect}"));
                }
                0
            }
            (None, None, None, None, Some(kind)) => {
                if view["waiting_for"][0]["kind"] != kind.as_str() {
                    return bad(&format!("does not wait for {kind}"));
                }
                if kind == "approval" { 10 } else { 11 }
            }
            _ => panic!("{name} must have one end"),
        };
        if run.code != code {
            return bad(&format!("code {} and not {code}", run.code));
        }
        if case.denied.is_none() && !case.says.iter().all(|words| said.contains(words)) {
            return bad(&format!("does not say {:?}", case.says));
        }
        self.printed(id, &case.logs).or_else(|what| bad(&what))?;
        if case.fault.as_deref() != Some("deadline") && case.parked.is_none() {
            let replayed = self.project.wflo(&["replay", id]);
            if replayed.code != 0 {
                return bad(&format!("its replay: {}{}", replayed.stdout, replayed.stderr));
            }
        }
        Ok(())
    }

    /// Names what this stage has.
    fn place(&self, text: &str) -> String {
        let text = text.replace("{site}", &self.site.address()).replace("{other}", &self.other.address());
        text.replace("{port}", &self.site.port.to_string())
    }

    /// The workflow of a case.
    fn manifest(&self, case: &Case, grants: &str) -> String {
        let mut manifest = format!("[workflow]\nname = \"hostile\"\ncomponent = \"{}.wasm\"\n", case.program);
        let mut inputs = serde_json::Map::from_iter([("db".to_owned(), json!("bank"))]);
        inputs.extend(case.inputs.clone());
        for (name, value) in &inputs {
            let value = Value::from(self.place(value.as_str().expect("inputs are text")));
            manifest += &format!("[inputs.{name}]\ntype = \"string\"\ndefault = {value}\n");
        }
        manifest + &format!("[[step]]\nname = \"{}\"\n{}\n{}\n", case.step, self.place(grants), case.given)
    }

    fn run(&self, case: &Case, grants: &str) -> Output {
        self.project.write("workflow.toml", &self.manifest(case, grants));
        let _turns = (case.step == "races_a_link").then(|| Turns::take(self.project.path("lent")));
        // A proxy of the environment is nothing that a deployment has named.
        let proxy = self.other.address();
        let mut command = self.project.command(&["run", "--json"]);
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env(name, &proxy);
        }
        Output::of(&mut command)
    }

    /// The refusal of that call, as the journal has it. A database says itself what it denies, and then the call has
    /// an intent of its own.
    fn denial(&self, run: &str, call: &str) -> Option<String> {
        let file = self.project.wflo(&["audit", "export", run]).expect_code(0).stdout;
        let events: Vec<Value> = file
            .lines()
            .filter_map(|line| {
                serde_json::from_str::<Value>(line).ok()?["body"].as_str().map(ToOwned::to_owned)
            })
            .filter_map(|body| serde_json::from_str(&body).ok())
            .collect();
        let (interface, function) = call.rsplit_once('.').expect("an interface and a function");
        let names = |call: &Value| call["interface"] == interface && call["function"] == function;
        let is_made = events.iter().any(|event| names(&event["call"]) || names(&event["asked"]));
        let denied = events.into_iter().find(|event| {
            let errors = [&event["error"], &event["result"]["err"]];
            errors.iter().any(|error| error["kind"] == "access_denied")
        });
        denied.filter(|_| is_made).map(|event| event.to_string())
    }

    /// What people see of a run, printed: the lines that must be there, and nothing that steers their terminal.
    fn printed(&self, run: &str, lines: &[String]) -> Result<(), String> {
        for command in ["logs", "show"] {
            let shown = self.project.wflo(&[command, run]);
            let text = shown.stdout + &shown.stderr;
            if let Some(bad) = text.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t') {
                return Err(format!("`wflo {command}` prints {bad:?}"));
            }
            if command == "logs"
                && let Some(line) = lines.iter().find(|line| !text.contains(*line))
            {
                return Err(format!(
                    "`wflo logs` has no `{line}`: {}",
                    text.lines().last().unwrap_or_default()
                ));
            }
        }
        Ok(())
    }

    /// What must hold whatever the guests did.
    fn look_around(&self) {
        assert!(self.other.asked().is_empty(), "a server that was not granted: {:?}", self.other.asked());
        let asked = self.site.asked();
        assert!(asked.iter().all(|line| line.starts_with("GET /api/")), "{asked:?}");
        for mail in self.mailbox.taken() {
            assert!(mail.to.iter().all(|to| to.ends_with("@example.org")), "{mail:?}");
            let head = mail.data.split("\r\n\r\n").next().expect("it has headers").to_lowercase();
            assert!(!head.contains("\r\nbcc") && !head.contains("elsewhere"), "{mail:?}");
        }
        let posted = self.inbox.posted();
        assert!(posted.iter().all(|(path, _)| path == "/team"), "{posted:?}");
        let bank = rusqlite::Connection::open(self.project.path("bank.db")).expect("the bank");
        let count = |table: &str| -> i64 {
            bank.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a count")
        };
        assert_eq!((count("accounts"), count("secrets"), count("notes")), (1, 1, 0));
        assert_eq!((count("patients"), count("patients WHERE name IN ('Ada', 's3same')")), (2, 2));
        for file in ["owned", "copy.db"] {
            assert!(!self.project.path(file).exists(), "`{file}` was made");
        }
        let found = self.project.wflo(&["runs", "--json"]).expect_code(0);
        assert!(!found.stdout.contains("s3same"));
    }
}

/// Makes a folder to be lent, with links in it that lead out of it.
fn lend(project: &Project) {
    let lent = project.path("lent");
    std::fs::create_dir(&lent).expect("a folder");
    std::fs::write(lent.join("hello.txt"), "hello").expect("a file");
    project.write("secret.txt", "s3same");
    for (link, to) in [
        ("link_out", "../secret.txt"),
        ("folder_out", ".."),
        ("absolute_link", "/etc/passwd"),
        ("link_to_link", "link_out"),
        ("turns", "hello.txt"),
    ] {
        symlink(to, lent.join(link)).expect("a link");
    }
}

/// Somebody who puts one link in the place of another, out of a folder and into it by turns, until dropped.
struct Turns {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Turns {
    fn take(lent: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for to in ["../secret.txt", "hello.txt"].into_iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                symlink(to, lent.join("next")).expect("a link");
                std::fs::rename(lent.join("next"), lent.join("turns")).expect("a link");
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it takes turns until it is stopped");
        }
    }
}

/// A server on loopback that answers by the path it is asked for.
struct Site {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Starts one; it sends those who ask for `/api/away` to `away`.
    fn start(away: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let port = listener.local_addr().expect("it has an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (seen, away) = (Arc::clone(&seen), away.clone());
                std::thread::spawn(move || serve(client, &seen, away.as_deref()));
            }
        });
        Self { port, asked }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics here").clone()
    }
}

/// Answers one request. A client that has gone is no error.
fn serve(mut client: TcpStream, seen: &Mutex<Vec<String>>, away: Option<&str>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        match client.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    seen.lock().expect("no test panics here").push(line.clone());
    let path = line.split_whitespace().nth(1).unwrap_or_default();
    let _ = match path.split('?').next().unwrap_or_default() {
        "/api/away" => {
            let to = away.unwrap_or_default();
            let head = "HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0";
            write!(client, "{head}\r\nLocation: {to}/api/hello\r\n\r\n")
        }
        "/api/hold" => client.read(&mut chunk).map(drop),
        "/api/flood" => {
            let part = [b'z'; 1 << 16];
            let begun = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n");
            begun.and_then(|()| (0..16_000).try_for_each(|_| client.write_all(&part)))
        }
        _ => client.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"),
    };
}
