//! What came of an example.

use std::collections::BTreeMap;
use std::time::Duration;

use wflo_model::PicoUsd;

/// What came of an example.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) name: String,
    pub(crate) use_case: String,
    pub(crate) shows: String,
    /// How many commands printed what the README shows.
    pub(crate) commands: usize,
    /// How many runs stand how.
    pub(crate) runs: BTreeMap<String, usize>,
    pub(crate) cost: PicoUsd,
    pub(crate) time: Duration,
    /// What was played with many items.
    pub(crate) many: Vec<Many>,
}

/// How fast many items went.
#[derive(Clone, Debug)]
pub(crate) struct Many {
    pub(crate) block: String,
    pub(crate) items: u64,
    pub(crate) time: Duration,
}

impl Played {
    /// What happened, in words.
    pub(crate) fn happened(&self) -> String {
        let plural =
            |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let runs = self.runs.iter().map(|(status, count)| {
            let status = if status == "waiting" { "waits".to_owned() } else { status.replace('_', " ") };
            format!("{} {status}", plural(*count, "run"))
        });
        let commands = format!("{} as shown", plural(self.commands, "command"));
        runs.chain([commands]).collect::<Vec<_>>().join("; ")
    }
}

impl Many {
    /// In words.
    pub(crate) fn told(&self, example: &str) -> String {
        let seconds = self.time.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = self.items as f64 / seconds;
        format!("{example}, `{}`: {} items in {seconds:.1} s, {rate:.0} a second", self.block, self.items)
    }
}
