//! Every function a guest can call, and how far it reaches.

/// How far a function reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Outside: it is a [`Call`](wflo_model::Call) through the [`Gate`](crate::Gate).
    Gate,
    /// Nowhere: what it answers is in the journal already or follows from it.
    Virtual,
}

/// Every function that [`add_to_linker`](crate::add_to_linker) links: interface without version, function,
/// reach. A test compares it with the WIT, so that none is added without a decision.
///
/// ```
/// use wflo_host_api::{FUNCTIONS, Reach};
/// assert!(FUNCTIONS.contains(&("wflo:db/sql", "query", Reach::Gate)));
/// ```
pub const FUNCTIONS: &[(&str, &str, Reach)] = &[
    ("wasi:filesystem/preopens", "get-directories", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.advise", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.append-via-stream", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.create-directory-at", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.get-flags", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.get-type", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.is-same-object", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.link-at", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.metadata-hash", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.metadata-hash-at", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.open-at", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.read", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.read-directory", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.read-via-stream", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.readlink-at", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.remove-directory-at", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.rename-at", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.set-size", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.set-times", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.set-times-at", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.stat", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.stat-at", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.symlink-at", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.sync", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.sync-data", Reach::Virtual),
    ("wasi:filesystem/types", "[method]descriptor.unlink-file-at", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.write", Reach::Gate),
    ("wasi:filesystem/types", "[method]descriptor.write-via-stream", Reach::Gate),
    ("wasi:filesystem/types", "[method]directory-entry-stream.read-directory-entry", Reach::Virtual),
    ("wasi:filesystem/types", "filesystem-error-code", Reach::Virtual),
    ("wasi:http/outgoing-handler", "handle", Reach::Gate),
    ("wasi:http/types", "[constructor]fields", Reach::Virtual),
    ("wasi:http/types", "[constructor]outgoing-request", Reach::Virtual),
    ("wasi:http/types", "[constructor]outgoing-response", Reach::Virtual),
    ("wasi:http/types", "[constructor]request-options", Reach::Virtual),
    ("wasi:http/types", "[method]fields.append", Reach::Virtual),
    ("wasi:http/types", "[method]fields.clone", Reach::Virtual),
    ("wasi:http/types", "[method]fields.delete", Reach::Virtual),
    ("wasi:http/types", "[method]fields.entries", Reach::Virtual),
    ("wasi:http/types", "[method]fields.get", Reach::Virtual),
    ("wasi:http/types", "[method]fields.has", Reach::Virtual),
    ("wasi:http/types", "[method]fields.set", Reach::Virtual),
    ("wasi:http/types", "[method]future-incoming-response.get", Reach::Virtual),
    ("wasi:http/types", "[method]future-incoming-response.subscribe", Reach::Virtual),
    ("wasi:http/types", "[method]future-trailers.get", Reach::Virtual),
    ("wasi:http/types", "[method]future-trailers.subscribe", Reach::Virtual),
    ("wasi:http/types", "[method]incoming-body.stream", Reach::Virtual),
    ("wasi:http/types", "[method]incoming-request.authority", Reach::Virtual),
    ("wasi:http/types", "[method]incoming-request.consume", Reach::Virtual),
    ("wasi:http/types", "[method]incoming-request.headers", Reach::Virtual),
    ("wasi:http/types", "[method]incoming-request.method", Reach::Virtual),
    ("wasi:http/types", "[method]incoming-request.path-with-query", Reach::Virtual),
    ("wasi:http/types", "[method]incoming-request.scheme", Reach::Virtual),
    ("wasi:http/types", "[method]incoming-response.consume", Reach::Virtual),
    ("wasi:http/types", "[method]incoming-response.headers", Reach::Virtual),
    ("wasi:http/types", "[method]incoming-response.status", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-body.write", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-request.authority", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-request.body", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-request.headers", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-request.method", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-request.path-with-query", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-request.scheme", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-request.set-authority", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-request.set-method", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-request.set-path-with-query", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-request.set-scheme", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-response.body", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-response.headers", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-response.set-status-code", Reach::Virtual),
    ("wasi:http/types", "[method]outgoing-response.status-code", Reach::Virtual),
    ("wasi:http/types", "[method]request-options.between-bytes-timeout", Reach::Virtual),
    ("wasi:http/types", "[method]request-options.connect-timeout", Reach::Virtual),
    ("wasi:http/types", "[method]request-options.first-byte-timeout", Reach::Virtual),
    ("wasi:http/types", "[method]request-options.set-between-bytes-timeout", Reach::Virtual),
    ("wasi:http/types", "[method]request-options.set-connect-timeout", Reach::Virtual),
    ("wasi:http/types", "[method]request-options.set-first-byte-timeout", Reach::Virtual),
    ("wasi:http/types", "[static]fields.from-list", Reach::Virtual),
    ("wasi:http/types", "[static]incoming-body.finish", Reach::Virtual),
    ("wasi:http/types", "[static]outgoing-body.finish", Reach::Gate),
    ("wasi:http/types", "[static]response-outparam.set", Reach::Virtual),
    ("wasi:http/types", "http-error-code", Reach::Virtual),
    ("wasi:logging/logging", "log", Reach::Virtual),
    ("wflo:approval/gate", "decision", Reach::Virtual),
    ("wflo:approval/gate", "request", Reach::Gate),
    ("wflo:approval/policy", "fact", Reach::Gate),
    ("wflo:artifact/http", "save", Reach::Gate),
    ("wflo:artifact/store", "[method]reader.read", Reach::Virtual),
    ("wflo:artifact/store", "[method]reader.reference", Reach::Virtual),
    ("wflo:artifact/store", "[method]reader.seek", Reach::Virtual),
    ("wflo:artifact/store", "[method]reader.size", Reach::Virtual),
    ("wflo:artifact/store", "[method]writer.write", Reach::Virtual),
    ("wflo:artifact/store", "[static]writer.finish", Reach::Gate),
    ("wflo:artifact/store", "create", Reach::Virtual),
    ("wflo:artifact/store", "open", Reach::Gate),
    ("wflo:db/sql", "bulk-insert", Reach::Gate),
    ("wflo:db/sql", "call", Reach::Gate),
    ("wflo:db/sql", "execute", Reach::Gate),
    ("wflo:db/sql", "page", Reach::Gate),
    ("wflo:db/sql", "query", Reach::Gate),
    ("wflo:db/sql-json", "call", Reach::Gate),
    ("wflo:db/sql-json", "execute", Reach::Gate),
    ("wflo:db/sql-json", "page", Reach::Gate),
    ("wflo:db/sql-json", "query", Reach::Gate),
    ("wflo:http/client", "send", Reach::Gate),
    ("wflo:infra/terraform", "apply", Reach::Gate),
    ("wflo:infra/terraform", "plan", Reach::Gate),
    ("wflo:infra/terraform", "state", Reach::Gate),
    ("wflo:knowledge/search", "search", Reach::Gate),
    ("wflo:llm/chat", "complete", Reach::Gate),
    ("wflo:llm/tasks", "analyze", Reach::Gate),
    ("wflo:llm/tasks", "answer", Reach::Gate),
    ("wflo:llm/tasks", "classify", Reach::Gate),
    ("wflo:llm/tasks", "generate-code", Reach::Gate),
    ("wflo:llm/tasks", "moderate", Reach::Gate),
    ("wflo:llm/tasks", "synthesize", Reach::Gate),
    ("wflo:llm/tasks", "transform", Reach::Gate),
    ("wflo:llm/tasks", "validate", Reach::Gate),
    ("wflo:notify/channel", "send", Reach::Gate),
    ("wflo:notify/mail", "send", Reach::Gate),
    ("wflo:secret/secrets", "placeholder", Reach::Gate),
    ("wflo:step/context", "attempt", Reach::Virtual),
    ("wflo:step/context", "input", Reach::Virtual),
    ("wflo:step/context", "inputs", Reach::Virtual),
    ("wflo:step/context", "item", Reach::Virtual),
    ("wflo:step/context", "output-of", Reach::Virtual),
    ("wflo:step/context", "report-cost", Reach::Gate),
    ("wflo:step/context", "run-id", Reach::Virtual),
    ("wflo:step/context", "step", Reach::Virtual),
];

/// Every interface that is linked, with its version; those named `types` have no functions.
pub const INTERFACES: &[&str] = &[
    "wasi:filesystem/preopens@0.2.12",
    "wasi:filesystem/types@0.2.12",
    "wasi:http/outgoing-handler@0.2.12",
    "wasi:http/types@0.2.12",
    "wasi:logging/logging@0.1.0-draft",
    "wflo:approval/gate@0.1.0",
    "wflo:approval/policy@0.1.0",
    "wflo:artifact/http@0.1.0",
    "wflo:artifact/store@0.1.0",
    "wflo:artifact/types@0.1.0",
    "wflo:db/sql-json@0.1.0",
    "wflo:db/sql@0.1.0",
    "wflo:http/client@0.1.0",
    "wflo:infra/terraform@0.1.0",
    "wflo:knowledge/search@0.1.0",
    "wflo:llm/chat@0.1.0",
    "wflo:llm/tasks@0.1.0",
    "wflo:llm/types@0.1.0",
    "wflo:notify/channel@0.1.0",
    "wflo:notify/mail@0.1.0",
    "wflo:secret/secrets@0.1.0",
    "wflo:step/context@0.1.0",
    "wflo:step/types@0.1.0",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wit_parser::{Resolve, WorldItem};

    use super::{FUNCTIONS, INTERFACES};

    #[test]
    fn the_lists_are_the_wit() {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let mut resolve = Resolve::default();
        let mut host = None;
        for package in [
            "deps/logging",
            "deps/io",
            "deps/clocks",
            "deps/http",
            "deps/filesystem",
            "step",
            "llm",
            "db",
            "approval",
            "secret",
            "notify",
            "knowledge",
            "artifact",
            "infra",
            "http",
            "host",
        ] {
            host = Some(resolve.push_path(wit.join(package)).unwrap().0);
        }
        let world = resolve.select_world(&[host.unwrap()], Some("all")).unwrap();
        let (mut linked, mut interfaces) = (Vec::new(), Vec::new());
        for item in resolve.worlds[world].imports.values() {
            let WorldItem::Interface { id, .. } = item else { panic!("the world imports only interfaces") };
            let full = resolve.id_of(*id).unwrap();
            // What these use of the virtual layer is the sandbox's to link.
            if full.starts_with("wasi:io/") || full.starts_with("wasi:clocks/") {
                continue;
            }
            let interface = full.split('@').next().unwrap();
            for function in resolve.interfaces[*id].functions.keys() {
                linked.push((interface.to_owned(), function.clone()));
            }
            interfaces.push(full);
        }
        interfaces.sort();
        assert_eq!(INTERFACES, interfaces);
        linked.sort();
        let listed: Vec<_> = FUNCTIONS.iter().map(|(i, f, _)| ((*i).to_owned(), (*f).to_owned())).collect();
        assert_eq!(listed, linked);
    }
}
