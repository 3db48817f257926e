//! Files: what a step may read of the host, and how it is read.

use serde::Deserialize;
use serde_json::json;
use wflo_engine::Event;
use wflo_host_api::{FileAnswer, Stop};
use wflo_model::{Call, CallError, CallResult, Grants, GuestPath, HostPath};
use wflo_ports::{FileError, FilePlace};

use crate::Outside;
use crate::gate::{AttemptGate, returned};
use crate::player::Asked;

/// A call of `wasi:filesystem/types`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileCall {
    /// `open-at`
    Open(FileArgs),
    /// `read-directory`
    List(FileArgs),
    /// `stat-at`
    Look(FileArgs),
    /// Whatever would write.
    Write,
}

/// Where a guest points to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct FileArgs {
    mount: GuestPath,
    #[serde(default)]
    base: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    nofollow: bool,
}

impl FileCall {
    /// Reads a call.
    ///
    /// # Errors
    /// `Invalid` for arguments that do not fit.
    pub(crate) fn parse(call: &Call) -> Result<Self, CallError> {
        let make = match call.function.as_str() {
            // One that has no mount was made to be denied.
            _ if call.args.get("mount").is_none() => return Ok(Self::Write),
            "open-at" => Self::Open,
            "read-directory" => Self::List,
            "stat-at" => Self::Look,
            _ => return Ok(Self::Write),
        };
        FileArgs::deserialize(&call.args)
            .map(make)
            .map_err(|error| CallError::Invalid { message: format!("`{call}`: {error}") })
    }

    /// Whether the step may make it: its grant, and the deployment's ceiling today. Where links lead is judged when they
    /// are followed.
    ///
    /// # Errors
    /// `AccessDenied` with what is lacking, `Unknown` where the deployment lends no files.
    pub(crate) fn authorise(&self, grants: &Grants, outside: &Outside) -> Result<(), CallError> {
        let denied = |message: String| Err(CallError::AccessDenied { message });
        let (Self::Open(args) | Self::List(args) | Self::Look(args)) = self else {
            return denied("files are there to be read, and nothing else".to_owned());
        };
        let Some(folder) = args.folder(grants) else {
            return denied(format!("folder `{}` is not granted; `grants.files` would", args.mount));
        };
        if leads_out(&args.path) || leads_out(&args.base) {
            return denied(format!("`{}` leads out of its folder", args.shown()));
        }
        let Some(files) = outside.files() else {
            return Err(CallError::Unknown { message: "the deployment lends no files".to_owned() });
        };
        if !folder.is_within(files.ceiling()) {
            return denied(format!("folder `{folder}` is above the deployment's ceiling, `[limits] files`"));
        }
        Ok(())
    }
}

impl FileArgs {
    fn folder<'a>(&self, grants: &'a Grants) -> Option<&'a HostPath> {
        grants.files.iter().find(|grant| grant.guest == self.mount).map(|grant| &grant.host)
    }

    fn shown(&self) -> String {
        let parts = [self.base.as_str(), self.path.as_str()];
        let parts = parts.iter().filter(|part| !part.is_empty());
        parts.fold(self.mount.to_string(), |path, part| format!("{path}/{part}"))
    }
}

/// Whether a path, as it is written, leads out of where it begins.
fn leads_out(path: &str) -> bool {
    let mut depth = 0_i32;
    path.starts_with('/')
        || path.split('/').any(|part| {
            depth += match part {
                ".." => -1,
                "" | "." => 0,
                _ => 1,
            };
            depth < 0
        })
}

impl AttemptGate {
    /// Makes a call about files that was authorised. What it answers is journaled in whole, so that nothing depends on
    /// the file system from then on.
    pub(crate) async fn file(&mut self, call: Asked, file: FileCall) -> Result<CallResult, Stop> {
        let (FileCall::Open(args) | FileCall::List(args) | FileCall::Look(args)) = &file else {
            return Err(Stop::Host(format!("`{}` writes and was authorised", call.call)));
        };
        let lent = self.outside.files().cloned().zip(args.folder(&self.step.grants).cloned());
        let Some((files, folder)) = lent else {
            return Err(Stop::Host("the deployment's files are gone".to_owned()));
        };
        let (base, path) = (args.base.clone(), args.path.clone());
        let place = FilePlace { folder, base, path, follow: !args.nofollow };
        let answer = match &file {
            FileCall::Open(_) => {
                let most = self.step.limits.http_body();
                files.files().open(&place, most).await.map(FileAnswer::Opened)
            }
            FileCall::List(_) => files.files().list(&place).await.map(FileAnswer::Entries),
            _ => files.files().look(&place).await.map(FileAnswer::Stat),
        };
        let result = match answer {
            Ok(answer) => Ok(json!(answer)),
            Err(FileError::Failed(failure)) => Ok(json!(FileAnswer::Failed(failure))),
            Err(FileError::Prohibited { message }) => {
                let message = format!("`{}`: {message}", args.shown());
                return self.deny(call, CallError::AccessDenied { message });
            }
            Err(error) => Err(CallError::Unavailable { message: error.to_string() }),
        };
        self.append(Event::Returned(returned(None, call, &result)))?;
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::{Call, CallError, FileGrant, Grants};

    use super::{FileCall, leads_out};
    use crate::Outside;

    #[test]
    fn a_path_leads_down_as_it_is_written() {
        for inside in ["", ".", "a", "a/b", "a/..", "a/../b", "./a//b", "a/b/../..", "..a", "a/...", "a..b"] {
            assert!(!leads_out(inside), "{inside}");
        }
        for outside in ["..", "/", "/etc/passwd", "../a", "a/../..", "./..", "a/../../a", ".//.."] {
            assert!(leads_out(outside), "{outside}");
        }
    }

    #[test]
    fn what_is_not_granted_or_writes_is_denied() {
        let grant = FileGrant { host: "data".parse().unwrap(), guest: "/data".parse().unwrap() };
        let grants = Grants { files: [grant].into(), ..Grants::default() };
        let may = |function: &str, args| {
            let call = FileCall::parse(&Call::new("wasi:filesystem/types", function, args)).unwrap();
            call.authorise(&grants, &Outside::default())
        };
        let denied = |function: &str, args| match may(function, args) {
            Err(CallError::AccessDenied { message }) => message,
            other => panic!("{other:?}"),
        };
        let unknown = may("open-at", json!({"mount": "/data", "path": "a"}));
        assert!(matches!(unknown, Err(CallError::Unknown { .. })), "only the deployment is lacking");
        assert!(
            denied("open-at", json!({"mount": "/other", "path": "a"})).contains("`/other` is not granted")
        );
        assert!(
            denied("stat-at", json!({"mount": "/data", "path": "../a"})).contains("`/data/../a` leads out")
        );
        let from_below = json!({"mount": "/data", "base": "sub", "path": "../a"});
        assert!(denied("read-directory", from_below).contains("leads out"));
        for function in ["open-at", "unlink-file-at", "write", "anything-else"] {
            let said = denied(function, json!({"folder": "/data", "path": "a"}));
            assert!(said.contains("to be read"), "{function}: {said}");
        }
    }
}
