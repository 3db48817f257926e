//! Searches of knowledge bases.

use serde::Deserialize;
use serde_json::json;
use wflo_engine::Event;
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, CallResult, Grants};
use wflo_ports::KnowledgeError;

use crate::Outside;
use crate::gate::{AttemptGate, returned};
use crate::operation::arguments;
use crate::player::Asked;

/// Most passages of one search.
const MOST: u32 = 50;
/// Most bytes of a question: what is longer is a document, and finds everything.
const LONGEST: usize = 4 << 10;

/// `wflo:knowledge/search.search`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchCall {
    knowledge: String,
    query: String,
    top: u32,
}

impl SearchCall {
    /// Reads a call.
    ///
    /// # Errors
    /// `Invalid` for arguments that do not fit.
    pub(crate) fn parse(call: &Call) -> Result<Self, CallError> {
        let this: Self = arguments(call)?;
        let invalid = |message: String| Err(CallError::Invalid { message });
        if !(1..=MOST).contains(&this.top) {
            return invalid(format!("`top` is {}, not 1 to {MOST}", this.top));
        }
        match this.query.len() {
            0 => invalid("`query` is empty".to_owned()),
            n if n > LONGEST => invalid(format!("`query` has {n} bytes, and {LONGEST} is the most")),
            _ => Ok(this),
        }
    }

    /// Whether the step may make it: its grant, and what the deployment binds today.
    pub(crate) fn authorise(&self, grants: &Grants, outside: &Outside) -> Result<(), CallError> {
        let label = self.knowledge.escape_debug();
        if !grants.knowledge.contains(self.knowledge.as_str()) {
            let message =
                format!("knowledge base `{label}` is not granted; `grants.knowledge = [\"{label}\"]` would");
            return Err(CallError::AccessDenied { message });
        }
        match outside.knowledge(&self.knowledge) {
            Some(_) => Ok(()),
            None => Err(CallError::Unknown {
                message: format!("the deployment binds no knowledge base `{label}`"),
            }),
        }
    }
}

impl AttemptGate {
    /// Makes a search that was authorised. What it finds is journaled in whole, so that nothing depends on the documents
    /// from then on.
    pub(crate) async fn search(&mut self, call: Asked, search: SearchCall) -> Result<CallResult, Stop> {
        let Some(knowledge) = self.outside.knowledge(&search.knowledge).cloned() else {
            return Err(Stop::Host(format!("knowledge base `{}` is gone", search.knowledge)));
        };
        let found = knowledge.search(&search.query, search.top as usize).await;
        let result = match found {
            Ok(passages) => Ok(json!(passages)),
            Err(KnowledgeError::TooLarge { message }) => Err(CallError::Limit { message }),
            Err(error) => Err(CallError::Unavailable { message: error.to_string() }),
        };
        self.append(Event::Returned(returned(None, call, &result)))?;
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::{Call, CallError, Grants};

    use super::SearchCall;
    use crate::Outside;

    #[test]
    fn a_search_is_bounded_and_granted_by_label() {
        let parse = |label: &str, query: &str, top: i64| {
            let args = json!({"knowledge": label, "query": query, "top": top});
            SearchCall::parse(&Call::new("wflo:knowledge/search", "search", args))
        };
        for (query, top) in [("", 1), ("a", 0), ("a", 51), ("a", -1)] {
            assert!(matches!(parse("help", query, top), Err(CallError::Invalid { .. })), "{query} {top}");
        }
        assert!(matches!(parse("help", &"a".repeat(4097), 1), Err(CallError::Invalid { .. })));
        let grants = Grants { knowledge: ["help".parse().unwrap()].into(), ..Grants::default() };
        let may = |label: &str| parse(label, "a", 1).unwrap().authorise(&grants, &Outside::default());
        assert!(matches!(may("help"), Err(CallError::Unknown { .. })), "only the binding is lacking");
        for other in ["Help", "help ", "../help", ""] {
            assert!(matches!(may(other), Err(CallError::AccessDenied { .. })), "{other}");
        }
    }
}
