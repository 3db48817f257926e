//! The clinic's own interface, `clinic:ehr/records`: what guests call, what a grant of it says, and what its calls do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wasmtime::component::Linker;
use wflo::{CallClassOf, Interface, InterfaceError, InterfaceGrant};
use wflo_host_api::{HasHost, Host};
use wflo_model::{Call, CallError};
use wflo_ports::IdempotencyKey;
use wflo_sandbox::{Guest, Linked};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "package clinic:host@0.1.0; world all { import clinic:ehr/records@0.1.0; }",
        world: "clinic:host/all",
        imports: { default: async | trappable },
    });
}

use bindings::clinic::ehr::records;

/// The interface, as calls name it.
const NAME: &str = "clinic:ehr/records";

/// What guests call. It can do nothing but make a call of it, which the gate then decides about.
impl records::Host for Host<'_> {
    async fn read(
        &mut self,
        ward: String,
        patient: String,
    ) -> wasmtime::Result<Result<Vec<records::Note>, records::Error>> {
        let args = json!({ "ward": ward, "patient": patient });
        let notes: Result<Vec<Note>, _> = self.call(NAME, "read", &args).await?;
        let note = |Note { id, text }| records::Note { id, text };
        Ok(notes.map(|notes| notes.into_iter().map(note).collect()).map_err(error))
    }

    async fn add_note(
        &mut self,
        ward: String,
        patient: String,
        text: String,
    ) -> wasmtime::Result<Result<u64, records::Error>> {
        let args = json!({ "ward": ward, "patient": patient, "text": text });
        Ok(self.call(NAME, "add-note", &args).await?.map_err(error))
    }
}

/// What a guest is told.
fn error(error: CallError) -> records::Error {
    match error {
        CallError::AccessDenied { message } => records::Error::AccessDenied(message),
        CallError::Rejected { message } => records::Error::Rejected(message),
        other => records::Error::Other(other.to_string()),
    }
}

/// What a grant says: `{ ward = "3", write = true }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ward {
    ward: String,
    #[serde(default)]
    write: bool,
}

impl InterfaceGrant for Ward {
    fn allows(&self, call: &Call) -> bool {
        call.args["ward"] == self.ward.as_str() && (self.write || call.function == "read")
    }

    fn covers(&self, narrower: &Self) -> bool {
        self.ward == narrower.ward && (self.write || !narrower.write)
    }
}

/// A note, as the file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    id: u64,
    text: String,
}

/// The records of a clinic, in one file of JSON. A real one would be a database; what matters here is that it takes a
/// note once for each key.
#[derive(Debug)]
pub(crate) struct Records {
    file: PathBuf,
    /// One writer at a time.
    turn: Mutex<()>,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Book {
    notes: BTreeMap<String, Vec<Note>>,
    /// The note that each key has made.
    keys: BTreeMap<String, u64>,
}

impl Records {
    pub(crate) fn open(file: &Path) -> Self {
        Self { file: file.to_owned(), turn: Mutex::new(()) }
    }

    fn book(&self) -> std::io::Result<Book> {
        match std::fs::read(&self.file) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Book::default()),
            Err(error) => Err(error),
        }
    }

    fn answer(&self, call: &Call, key: &IdempotencyKey) -> std::io::Result<Value> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut book = self.book()?;
        let patient = format!("{}/{}", text(call, "ward"), text(call, "patient"));
        if call.function == "read" {
            return Ok(json!(book.notes.get(&patient).cloned().unwrap_or_default()));
        }
        let key = key.0.hex();
        if let Some(id) = book.keys.get(&key) {
            return Ok(json!(id));
        }
        let notes = book.notes.entry(patient).or_default();
        let id = notes.len() as u64 + 1;
        notes.push(Note { id, text: text(call, "text").to_owned() });
        book.keys.insert(key, id);
        let unready = self.file.with_extension("new");
        std::fs::write(&unready, serde_json::to_vec_pretty(&book)?)?;
        std::fs::rename(&unready, &self.file)?;
        Ok(json!(id))
    }
}

fn text<'a>(call: &'a Call, name: &str) -> &'a str {
    call.args[name].as_str().unwrap_or_default()
}

impl Linked for Records {
    fn import(&self) -> &str {
        "clinic:ehr/records@0.1.0"
    }

    fn link(&self, linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        records::add_to_linker::<_, HasHost>(linker, wflo_host_api::host)
    }
}

#[async_trait]
impl Interface for Records {
    type Grant = Ward;

    fn class(&self, call: &Call) -> CallClassOf {
        match call.function.as_str() {
            "read" => CallClassOf::Reads,
            _ => CallClassOf::Keyed { for_as_long_as: Duration::from_secs(365 * 86_400) },
        }
    }

    async fn perform(&self, call: &Call, key: &IdempotencyKey) -> Result<Value, InterfaceError> {
        // The file is small and local; a record behind a network would be awaited here.
        self.answer(call, key).map_err(|error| InterfaceError::Lost { message: error.to_string() })
    }
}
