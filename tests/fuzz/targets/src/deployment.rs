//! `wflo.toml`: every text has an answer, and every problem a place in it.

use wflo_manifest::Deployment;

pub(crate) fn read(bytes: &[u8]) {
    let text = crate::text(bytes);
    if let Err(found) = Deployment::parse("wflo.toml", text) {
        crate::manifest::judged(&found, text);
    }
}
