//! A runtime with scripted steps, a model that counts, a SQLite file, and a clock that is set by hand.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use wflo::{Components, Host, Outside, Principal, Principals, Runtime, StepProgram};
use wflo_backends::SystemEntropy;
use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
use wflo_host_api::{Gate, Stop, Undo};
use wflo_journal::{Blobs, FaultSync, Journal, MasterKey, MemoryStore, OpenError};
use wflo_model::{
    Call, Capability, Content, DbAccess, Digest, Failure, FailureKind, Grants, HttpGrant, Idempotency,
    Limits, ModelName, StoreId, TableAccess, TerraformVerb, Timestamp,
};
use wflo_ports::{
    ChatModel, ChatRequest, Clock, Completion, HttpClient, HttpError, HttpLimits, HttpRequest, HttpResponse,
    IdempotencyKey, ModelError, TokenBound, TokenUsage,
};
use wflo_sandbox::{DescribeError, End, Ended, LoadError, Missing, Usage};

use crate::terraform::Folder;

/// What all steps of these tests are.
pub(crate) const COMPONENT: &[u8] = b"scripts of the test";
/// The model they ask.
pub(crate) const MODEL: &str = "counting-1";

/// What outlives a process.
pub(crate) struct World {
    store: Mutex<Arc<MemoryStore>>,
    blobs: Blobs,
    clock: Arc<TestClock>,
    pub(crate) model: Arc<CountingModel>,
    pub(crate) site: Arc<Site>,
    pub(crate) infra: Arc<Folder>,
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let owner = rusqlite::Connection::open(folder.path().join("ledger.db")).unwrap();
        owner
            .execute_batch(
                "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
                 CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
                 INSERT INTO counter VALUES (1, 0);",
            )
            .unwrap();
        Self {
            store: Mutex::new(Arc::new(MemoryStore::new(StoreId::from_bytes([1; 16])).unwrap())),
            blobs: Blobs::in_memory(),
            clock: Arc::default(),
            model: Arc::new(CountingModel {
                models: [MODEL.parse().unwrap()],
                calls: Mutex::default(),
                answers: AtomicU64::new(5),
            }),
            site: Arc::default(),
            infra: Arc::default(),
            folder,
        }
    }

    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// A process that finds what is durable, and whose `n`-th sync fails.
    pub(crate) async fn process(&self, faults: Arc<FaultSync>) -> Result<Process, OpenError> {
        let store = {
            let mut store = self.store.lock().unwrap();
            *store = Arc::new(store.reopen(faults).unwrap());
            Arc::clone(&*store)
        };
        let journal =
            Journal::open(store, self.blobs.clone(), MasterKey::new([2; 32]), Arc::new(SystemEntropy))
                .await?;
        let clock = Arc::clone(&self.clock);
        let runtime = Runtime::new(journal, Arc::new(Scripts), clock.clone(), Arc::new(SystemEntropy));
        let database = Sqlite::open(self.database(), SqliteOptions::default()).unwrap();
        let outside = Outside::default()
            .with_models(self.model.clone())
            .with_database("ledger".parse().unwrap(), Arc::new(database))
            .with_http(self.site.clone(), None)
            .with_terraform("prod".parse().unwrap(), self.infra.clone(), BTreeSet::new());
        let member =
            |group: &str| Principal { groups: [group.parse().unwrap()].into(), ..Principal::default() };
        let people = [
            ("alice", "red"),
            ("bob", "red"),
            ("carol", "blue"),
            ("dave", "money"),
            ("fay", "fraud-team"),
            ("cora", "compliance"),
            ("dr-chen", "attending-physician"),
            ("maria", "customer-service-manager"),
            ("dan", "data-team"),
            ("sam", "sre-team"),
            ("sec", "security-team"),
            ("mo", "moderation-team"),
            ("pia", "principal-investigator"),
        ];
        let people = people.map(|(name, group)| (name.parse().unwrap(), member(group)));
        let host = Host { outside: Arc::new(outside), principals: Principals(people.into()) };
        Ok(Process { runtime, host, clock })
    }
}

/// A process, until it is dropped.
pub(crate) struct Process {
    pub(crate) runtime: Runtime,
    pub(crate) host: Host,
    pub(crate) clock: Arc<TestClock>,
}

/// A clock that is set by hand, and moves a little each time it is read.
pub(crate) struct TestClock(AtomicU64);

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicU64::new(1_800_000_000_000_000))
    }
}

impl TestClock {
    pub(crate) fn set(&self, to: Timestamp) {
        self.0.store(to.micros(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(10, Ordering::SeqCst))
    }
}

/// Answers the same each time, and counts.
pub(crate) struct CountingModel {
    models: [ModelName; 1],
    pub(crate) calls: Mutex<Vec<Digest>>,
    /// Tokens of an answer: more than 10 are more than it said.
    pub(crate) answers: AtomicU64,
}

#[async_trait]
impl ChatModel for CountingModel {
    fn models(&self) -> &[ModelName] {
        &self.models
    }

    fn bound(&self, _: &ChatRequest) -> TokenBound {
        TokenBound { input: 10, output: Some(10) }
    }

    async fn complete(&self, _: &ChatRequest, key: &IdempotencyKey) -> Result<Completion, ModelError> {
        self.calls.lock().unwrap().push(key.0);
        let usage = Some(TokenUsage { input: 10, output: self.answers.load(Ordering::SeqCst) });
        let (text, model, finish_reason) = ("an answer".into(), MODEL.into(), "stop".into());
        Ok(Completion { text, model, finish_reason, usage })
    }
}

/// A site that does what it is asked once for each key, and counts.
#[derive(Default)]
pub(crate) struct Site {
    /// What was done: the path, and the key.
    done: Mutex<BTreeSet<(String, String)>>,
    /// The path and the body of each, in the order in which they came.
    told: Mutex<Vec<(String, String)>>,
    /// How often `/break` is to fail.
    pub(crate) fails: AtomicU64,
}

impl Site {
    /// What was done, in the order of the paths.
    pub(crate) fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    /// What it was told to do under a path, in the order in which that came.
    pub(crate) fn told(&self, path: &str) -> Vec<Value> {
        let told = self.told.lock().unwrap();
        let bodies = told.iter().filter(|(at, _)| at == path).map(|(_, body)| body);
        bodies.map(|body| serde_json::from_str(body).expect("it is JSON")).collect()
    }
}

#[async_trait]
impl HttpClient for Site {
    async fn send(&self, request: &HttpRequest, _: HttpLimits) -> Result<HttpResponse, HttpError> {
        let key = request.headers.iter().find(|(name, _)| name.as_str() == "idempotency-key");
        let key = key.and_then(|(_, value)| value.as_text()).unwrap_or_default().to_owned();
        let path = request.url.path().to_owned();
        let fails = |left: u64| left.checked_sub(1);
        let is_broken =
            path == "/break" && self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok();
        if !is_broken && self.done.lock().unwrap().insert((path.clone(), key)) {
            let body = String::from_utf8(request.body.as_bytes().to_vec()).expect("it is text");
            self.told.lock().unwrap().push((path, body));
        }
        Ok(HttpResponse { status: if is_broken { 500 } else { 200 }, headers: Vec::new(), body: "ok".into() })
    }
}

/// What steps are granted.
pub(crate) fn grants() -> Grants {
    let tables = || [("notes".to_owned(), TableAccess::All), ("counter".to_owned(), TableAccess::All)].into();
    let access = DbAccess { read: tables(), write: tables(), ..DbAccess::default() };
    Grants {
        db: [("ledger".parse().unwrap(), access)].into(),
        llm: [MODEL.parse().unwrap()].into(),
        http: [HttpGrant {
            allow: "POST https://site.example/*".parse().unwrap(),
            idempotency: Some(Idempotency {
                header: "idempotency-key".parse().unwrap(),
                ttl: std::time::Duration::from_secs(86_400),
            }),
        }]
        .into(),
        terraform: [("prod".parse().unwrap(), [TerraformVerb::Plan, TerraformVerb::Apply].into())].into(),
        ..Grants::default()
    }
}

/// What runs the scripts below.
pub(crate) fn scripts() -> Arc<dyn Components> {
    Arc::new(Scripts)
}

/// Runs the scripts below in place of components.
struct Scripts;

#[async_trait]
impl Components for Scripts {
    async fn load(self: Arc<Self>, _: &Content) -> Result<Arc<dyn StepProgram>, LoadError> {
        Ok(self)
    }

    fn loaded(&self, _: &Digest) -> Option<Arc<dyn StepProgram>> {
        None
    }
}

#[async_trait]
impl StepProgram for Scripts {
    fn missing(&self, _: &BTreeSet<Capability>) -> Vec<Missing> {
        Vec::new()
    }

    async fn run(&self, step: &str, mut gate: Box<dyn Gate>, _: &Limits) -> Ended {
        let end = match script(step, &mut *gate).await {
            Ok(Ok(output)) => End::Output(output),
            Ok(Err(failure)) => End::Failed(failure),
            Err(stop) => End::Stopped(stop),
        };
        Ended { gate, end, usage: Usage::default() }
    }

    async fn compensates(&self) -> Result<BTreeSet<String>, DescribeError> {
        Ok(["post", "post-breaking", "post-each"].map(str::to_owned).into())
    }

    async fn compensate(&self, what: &Undo, mut gate: Box<dyn Gate>, _: &Limits) -> Ended {
        let end = match uncompensated(what, &mut *gate).await {
            Ok(Ok(())) => End::Output(Value::Null),
            Ok(Err(failure)) => End::Failed(failure),
            Err(stop) => End::Stopped(stop),
        };
        Ended { gate, end, usage: Usage::default() }
    }
}

/// Undoes a step, and tells the site what it was told.
async fn uncompensated(what: &Undo, gate: &mut dyn Gate) -> Result<Result<(), Failure>, Stop> {
    assert_eq!(gate.context().item, what.item);
    let path = if what.step == "post-breaking" { "break" } else { "undo" };
    let step = &gate.context().step;
    let told = json!({ "step": step, "item": what.item, "output": what.output, "certain": what.certain })
        .to_string();
    let answer = call(gate, "wasi:http/outgoing-handler", "handle", post(path, &told)).await?;
    Ok(match answer["status"].as_u64() {
        Some(200) => Ok(()),
        _ => Err(Failure { kind: FailureKind::Retryable, message: "the site is broken".into() }),
    })
}

fn post(path: &str, body: &str) -> Value {
    json!({ "method": "POST", "url": format!("https://site.example/{path}"), "body": body })
}

async fn script(step: &str, gate: &mut dyn Gate) -> Result<Result<Value, Failure>, Stop> {
    Ok(Ok(match step {
        "think" => {
            let first = call(gate, "wflo:llm/chat", "complete", question("one")).await?;
            let second = call(gate, "wflo:llm/chat", "complete", question("two")).await?;
            json!([first["text"], second["text"]])
        }
        "note" => {
            let item = gate.context().item.clone().unwrap_or(json!("the step"));
            let count = "UPDATE counter SET n = n + 1 WHERE id = 1";
            call(gate, "wflo:db/sql", "execute", sql(count, json!([]))).await?;
            let before = call(gate, "wflo:llm/chat", "complete", question("three")).await?;
            let insert = "INSERT INTO notes (text) VALUES (?1)";
            call(gate, "wflo:db/sql", "execute", sql(insert, json!([item]))).await?;
            json!({ "item": item, "text": before["text"] })
        }
        // Writes, waits, and looks at what it has written.
        "note-and-wait" => {
            let count = "UPDATE counter SET n = n + 1 WHERE id = 1";
            call(gate, "wflo:db/sql", "execute", sql(count, json!([]))).await?;
            let until = gate.now().after(std::time::Duration::from_secs(3600));
            gate.sleep(until).await?;
            let look = "SELECT n FROM counter WHERE id = 1";
            call(gate, "wflo:db/sql", "query", sql(look, json!([]))).await?["rows"][0][0]["integer"].clone()
        }
        "fail-once" => {
            let insert = "INSERT INTO notes (text) VALUES ('of an attempt')";
            call(gate, "wflo:db/sql", "execute", sql(insert, json!([]))).await?;
            let attempt = gate.context().attempt;
            if attempt == 1 {
                return Ok(Err(Failure { kind: FailureKind::Retryable, message: "not yet".into() }));
            }
            json!(attempt)
        }
        "wait" => {
            let until = gate.now().after(std::time::Duration::from_secs(3600));
            gate.sleep(until).await?;
            json!("waited")
        }
        "pay" => {
            let insert = "INSERT INTO notes (text) VALUES (?1)";
            match gate.call(Call::new("wflo:db/sql", "execute", sql(insert, json!(["150"])))).await? {
                Ok(_) => json!({ "paid": 150, "attempt": gate.context().attempt }),
                Err(error) => json!({ "refused": error.to_string() }),
            }
        }
        // Writes to two databases, and looks at what it did.
        "both" => {
            let raise = |db: &str, table: &str| {
                let mut args = sql(&format!("UPDATE {table} SET n = n + 1 WHERE id = 1"), json!([]));
                args["db"] = json!(db);
                args
            };
            call(gate, "wflo:db/sql", "execute", raise("ledger", "counter")).await?;
            call(gate, "wflo:db/sql", "execute", raise("bank", "tally")).await?;
            let look = |db: &str, table: &str| {
                let mut args = sql(&format!("SELECT n FROM {table} WHERE id = 1"), json!([]));
                args["db"] = json!(db);
                args
            };
            let ledger = call(gate, "wflo:db/sql", "query", look("ledger", "counter")).await?;
            let bank = call(gate, "wflo:db/sql", "query", look("bank", "tally")).await?;
            json!([ledger["rows"][0][0]["integer"], bank["rows"][0][0]["integer"]])
        }
        // The same, without looking: whatever there was before, its statements come to the same.
        "both-unseen" => {
            let raise = |table: &str| format!("UPDATE {table} SET n = n + 1 WHERE id = 1");
            call(gate, "wflo:db/sql", "execute", sql(&raise("counter"), json!([]))).await?;
            let mut args = sql(&raise("tally"), json!([]));
            args["db"] = json!("bank");
            call(gate, "wflo:db/sql", "execute", args).await?;
            json!("raised")
        }
        // Reads what there is two rows at a time, and waits in the middle.
        "page" => {
            let page = |from: usize| {
                let mut args = sql("SELECT n FROM counter ORDER BY id", json!([]));
                args["from"] = json!(from);
                args["most"] = json!(2);
                args
            };
            let mut all = Vec::new();
            loop {
                let rows = call(gate, "wflo:db/sql", "page", page(all.len())).await?;
                let rows = rows["rows"].as_array().cloned().unwrap_or_default();
                if rows.is_empty() {
                    break;
                }
                all.extend(rows.into_iter().map(|row| row[0]["integer"].clone()));
                if all.len() == 4 {
                    let until = gate.now().after(std::time::Duration::from_secs(3600));
                    gate.sleep(until).await?;
                }
            }
            json!({ "all": all, "attempt": gate.context().attempt })
        }
        // Reads in parts in every order that there is none of.
        "page-badly" => {
            let mut said = Vec::new();
            let insert = "INSERT INTO notes (text) VALUES ('x')";
            for (from, other) in
                [(2, false), (0, false), (1, false), (2, false), (0, true), (4, false), (0, false)]
            {
                if other {
                    call(gate, "wflo:db/sql", "execute", sql(insert, json!([]))).await?;
                    continue;
                }
                let mut args = sql("SELECT n FROM counter ORDER BY id", json!([]));
                args["from"] = json!(from);
                args["most"] = json!(2);
                let answer = gate.call(Call::new("wflo:db/sql", "page", args)).await?;
                said.push(match answer {
                    Ok(rows) => rows["rows"].as_array().map(Vec::len).unwrap_or_default().to_string(),
                    Err(error) => error.to_string(),
                });
            }
            json!(said)
        }
        "report" => {
            let args = json!({ "kind": "cloud", "usd": "0.7", "note": "an hour of a machine" });
            call(gate, "wflo:step/context", "report-cost", args).await?;
            let wrong = json!({ "kind": "cloud", "usd": "-1", "note": "give it back" });
            let refused = gate.call(Call::new("wflo:step/context", "report-cost", wrong)).await?;
            json!(refused.unwrap_err().to_string())
        }
        "report-told" => {
            let args = json!({ "kind": "cloud", "usd": "0.7", "note": "an hour of a machine" });
            let told = gate.call(Call::new("wflo:step/context", "report-cost", args)).await?;
            json!(told.err().map(|error| error.to_string()))
        }
        // What the steps of the use cases do, as far as people and money are concerned.
        "understand_query" | "analyze_transactions" | "analyze_patient_data" | "analyze_papers" => {
            call(gate, "wflo:llm/chat", "complete", question(step)).await?["text"].clone()
        }
        "block_suspicious_accounts" | "load_to_warehouse" | "publish_findings" => {
            let insert = "INSERT INTO notes (text) VALUES (?1)";
            call(gate, "wflo:db/sql", "execute", sql(insert, json!([step]))).await?;
            json!({ "done": step })
        }
        "handle_query" => {
            let amount = gate.context().inputs["refund_amount"].clone();
            let fact = json!({ "name": "refund_amount", "value": amount });
            call(gate, "wflo:approval/policy", "fact", fact).await?;
            let insert = "INSERT INTO notes (text) VALUES (?1)";
            call(gate, "wflo:db/sql", "execute", sql(insert, json!([amount.to_string()]))).await?;
            json!({ "refund_amount": amount })
        }
        "analyze_content" => {
            let inputs = gate.context().inputs.clone();
            call(gate, "wflo:llm/chat", "complete", question(step)).await?;
            json!({ "confidence": inputs["confidence"], "verdict": inputs["verdict"] })
        }
        "take_action" => {
            let decision = gate.context().decision.clone();
            let analysis = gate.context().outputs["analyze_content"].clone();
            match decision {
                _ if analysis["verdict"] == "block" => json!({ "action": "blocked" }),
                Some(decision) => json!({ "action": decision.status }),
                None => json!({ "action": "approved" }),
            }
        }
        "told" => {
            let decision = gate.context().decision.clone();
            json!({ "decision": decision.map(|decision| decision.status) })
        }
        "enter" => {
            let entry = json!({ "account": "7", "text": "a note" });
            json!(gate.call(Call::new("bank:ledger/entries", "enter", entry)).await?)
        }
        "ask" => {
            let args = json!({ "summary": "may I?", "approvers": ["red", "blue"] });
            call(gate, "wflo:approval/gate", "request", args).await?["status"].clone()
        }
        "post" | "post-breaking" | "post-alone" => {
            let item = gate.context().item.clone().unwrap_or(json!(step));
            call(gate, "wasi:http/outgoing-handler", "handle", post("do", &item.to_string())).await?;
            json!({ "posted": item })
        }
        // Puts its own name into a terraform folder.
        "apply" => {
            let file = json!({ "path": "main.tf", "content": gate.context().step });
            let files = json!({ "terraform": "prod", "files": [file] });
            let planned = call(gate, "wflo:infra/terraform", "plan", files).await?;
            let apply = json!({ "terraform": "prod", "plan": planned["digest"] });
            call(gate, "wflo:infra/terraform", "apply", apply).await?["serial"].clone()
        }
        "post-each" => {
            let item = gate.context().item.clone().unwrap_or_default();
            call(gate, "wasi:http/outgoing-handler", "handle", post("do", &item.to_string())).await?;
            if item == json!("b") {
                let (kind, message) = (FailureKind::Permanent, "it is done, and then it fails".into());
                return Ok(Err(Failure { kind, message }));
            }
            item
        }
        "refuse" => {
            let kind = FailureKind::Permanent;
            return Ok(Err(Failure { kind, message: "it must not be".into() }));
        }
        other => json!(other),
    }))
}

async fn call(gate: &mut dyn Gate, interface: &str, function: &str, args: Value) -> Result<Value, Stop> {
    match gate.call(Call::new(interface, function, args)).await? {
        Ok(value) => Ok(value),
        Err(error) => Err(Stop::Host(format!("no call of these scripts fails: {error}"))),
    }
}

fn question(text: &str) -> Value {
    json!({ "model": MODEL, "messages": [{ "role": "user", "content": text }], "max_tokens": 10 })
}

fn sql(statement: &str, params: Value) -> Value {
    json!({ "db": "ledger", "sql": statement, "params": params })
}

/// How often what the database holds was done: the counter, and the notes.
pub(crate) fn effects(database: &Path) -> (i64, Vec<String>) {
    let owner = rusqlite::Connection::open(database).unwrap();
    let count = owner.query_row("SELECT n FROM counter WHERE id = 1", [], |row| row.get(0)).unwrap();
    let mut notes = owner.prepare("SELECT text FROM notes ORDER BY text").unwrap();
    let notes = notes.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    (count, notes)
}
