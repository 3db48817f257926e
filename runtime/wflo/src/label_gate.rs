//! Labelled data goes only to what accepts it.
//!
//! A step's labels are its plan's, and what a model or a server accepts is the deployment's today: taking a label away
//! works at once. What is asked is whether the step has labels, not whether this call has data of that kind in it: see
//! `wflo_manifest::DataLabels`.

use std::collections::BTreeSet;

use wflo_model::{CallError, Label};

use crate::Outside;
use crate::artifact::Save;
use crate::operation::Operation;

/// Whether what the step handles may go where the call goes.
///
/// # Errors
/// `AccessDenied` with the labels that are not accepted.
pub(crate) fn admit(
    labels: &BTreeSet<Label>,
    operation: &Operation,
    outside: &Outside,
) -> Result<(), CallError> {
    if labels.is_empty() {
        return Ok(());
    }
    let refused = |accepts: &dyn Fn(&Label) -> bool| {
        let refused = labels.iter().filter(|label| !accepts(label)).map(|label| format!("`{label}`"));
        Some(refused.collect::<Vec<_>>().join(", ")).filter(|labels| !labels.is_empty())
    };
    let (refused, sink) = match operation {
        Operation::Complete(request) => {
            let model = &request.model;
            (refused(&|label| outside.model_accepts(model, label)), format!("model `{model}`"))
        }
        Operation::Http(request) | Operation::Save(Save { request, .. }) => {
            let host = format!("`{}`", request.url.origin());
            (refused(&|label| outside.host_accepts(request, label)), host)
        }
        Operation::Own(own) => {
            let interface = outside.interface(&own.interface);
            let accepts = |label: &Label| interface.is_some_and(|interface| interface.accepts(label));
            (refused(&accepts), format!("interface `{}`", own.interface))
        }
        Operation::Mail(mail) => {
            let accepts = |label: &Label| mail.to.iter().all(|to| outside.mail_accepts(to, label));
            let to: Vec<_> = mail.to.iter().map(|to| format!("`{to}`")).collect();
            (refused(&accepts), format!("mail to {}", to.join(", ")))
        }
        Operation::Say(say) => {
            let channel = outside.channel(&say.address).and_then(Result::ok);
            let accepts = |label: &Label| channel.is_some_and(|channel| channel.accepts().contains(label));
            (refused(&accepts), format!("channel `{}`", say.address))
        }
        Operation::Terraform(call) if call.writes_to().is_some() => {
            let folder = call.writes_to().and_then(|label| Some((label, outside.terraform(label)?)));
            let accepts = |label: &Label| folder.is_some_and(|(_, folder)| folder.accepts(label));
            let name = call.writes_to().map(|label| format!("terraform folder `{label}`"));
            (refused(&accepts), name.unwrap_or_default())
        }
        // Databases and files are where labelled data lie; people, facts and outputs stay within the run.
        _ => return Ok(()),
    };
    match refused {
        Some(labels) => Err(CallError::AccessDenied {
            message: format!("the step handles data labelled {labels}, which {sink} does not accept"),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use wflo_model::{CallError, Label};
    use wflo_ports::{ChatRequest, HttpRequest};

    use super::{Operation, admit};
    use crate::Outside;

    fn labels(names: &[&str]) -> BTreeSet<Label> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn ask(model: &str) -> Operation {
        let request = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
        let request: ChatRequest = serde_json::from_value(request).unwrap();
        Operation::Complete(request)
    }

    fn get(url: &str) -> Operation {
        Operation::Http(HttpRequest::new("GET".parse().unwrap(), url.parse().unwrap()))
    }

    #[test]
    fn every_label_must_be_accepted() {
        let outside = Outside::default()
            .accepting(["clinic".parse().unwrap()], labels(&["phi", "internal"]))
            .with_host("* https://records.example.org/*".parse().unwrap(), labels(&["phi"]))
            .with_host("* https://*.example.org/*".parse().unwrap(), labels(&["internal"]));
        let check = |step: &[&str], operation: &Operation, refused: Option<&str>| match (
            admit(&labels(step), operation, &outside),
            refused,
        ) {
            (Ok(()), None) => {}
            (Err(CallError::AccessDenied { message }), Some(words)) => {
                assert!(message.contains(words), "{message}");
            }
            other => panic!("{step:?} {operation:?}: {other:?}"),
        };
        check(&[], &ask("gpt-4"), None);
        check(&["phi"], &ask("clinic"), None);
        check(&["phi"], &ask("gpt-4"), Some("labelled `phi`, which model `gpt-4` does not accept"));
        check(&["phi", "sealed"], &ask("clinic"), Some("`sealed`"));
        check(&["phi", "internal"], &get("https://records.example.org/a"), None);
        check(&["phi"], &get("https://other.example.org/a"), Some("`https://other.example.org`"));
        check(&["phi"], &get("https://records.example.org:8443/a"), Some("`phi`"));
        check(&["phi"], &Operation::Output(json!(null)), None);
    }
}
