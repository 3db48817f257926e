//! What both files say about limits: how much an attempt of a step may use, and how much any may at most.

use std::collections::BTreeMap;
use std::time::Duration;

use wflo_model::{LimitName, Limits};

use crate::reader::{Node, Reader, Section, Spanned};
use crate::size::{Size, show};
use crate::workflow_toml::{LONGEST, MOST};

/// The limits that a step writes out.
pub(crate) type Written = BTreeMap<LimitName, Spanned<u64>>;

/// What a limit counts.
enum Unit {
    Bytes,
    Seconds,
    /// Anything, up to so many: more than the sandbox has room for would be a promise that nobody keeps.
    Pieces(u64),
}

const fn unit(name: LimitName) -> Unit {
    match name {
        LimitName::Timeout => Unit::Seconds,
        LimitName::Tables => Unit::Pieces(100_000),
        LimitName::Instances => Unit::Pieces(20),
        LimitName::Calls => Unit::Pieces(u32::MAX as u64),
        LimitName::Fuel => Unit::Pieces(MOST),
        _ => Unit::Bytes,
    }
}

fn read_one(reader: &mut Reader, name: LimitName, node: &Node<'_>) -> Option<Spanned<u64>> {
    match unit(name) {
        Unit::Bytes => {
            let size: Spanned<Size> = node.parse(reader)?;
            Some(Spanned { value: size.value.0, span: size.span })
        }
        Unit::Seconds => node.integer(reader, 1..=LONGEST),
        Unit::Pieces(most) => node.integer(reader, 1..=most),
    }
}

/// Reads `limits` of a step. The time of an attempt is not among them: it has a key of the step's own.
pub(crate) fn read(reader: &mut Reader, mut section: Section<'_>, into: &mut Written) {
    for name in LimitName::ALL.iter().filter(|name| **name != LimitName::Timeout) {
        let Some(node) = section.take(name.key()) else { continue };
        into.extend(read_one(reader, *name, &node).map(|value| (*name, value)));
    }
    section.finish(reader);
}

/// Reads `timeout_seconds` of a step.
pub(crate) fn read_timeout(reader: &mut Reader, step: &mut Section<'_>, into: &mut Written) {
    let name = LimitName::Timeout;
    let node = step.take(name.key());
    into.extend(node.and_then(|node| read_one(reader, name, &node)).map(|value| (name, value)));
}

/// Reads the ceilings of `[limits]`.
pub(crate) fn read_ceilings(reader: &mut Reader, section: &mut Section<'_>) -> BTreeMap<LimitName, u64> {
    let mut ceilings = BTreeMap::new();
    for name in LimitName::ALL {
        let Some(node) = section.take(name.ceiling()) else { continue };
        ceilings.extend(read_one(reader, *name, &node).map(|most| (*name, most.value)));
    }
    ceilings
}

/// What is written must be within the ceilings of `file`; what is not is the default, or the ceiling if that is lower.
pub(crate) fn pin(
    reader: &mut Reader,
    written: &Written,
    ceilings: &BTreeMap<LimitName, u64>,
    file: &str,
) -> Limits {
    let mut limit = |name: LimitName, default: u64| {
        let unsaid = if name == LimitName::Memory { Limits::MOST_MEMORY } else { u64::MAX };
        let most = ceilings.get(&name).copied().unwrap_or(unsaid);
        let Some(written) = written.get(&name) else { return default.min(most) };
        if written.value > most {
            let most = shown(name, most);
            let message = format!("`{name}` is above the ceiling of {most}");
            let hint =
                format!("ask for {most} or less, or raise `{}` in `[limits]` of {file}", name.ceiling());
            reader.error(written.span.clone(), message).hint(hint);
        }
        written.value
    };
    let default = Limits::default();
    Limits {
        memory: limit(LimitName::Memory, default.memory),
        tables: limit(LimitName::Tables, default.tables),
        instances: limit(LimitName::Instances, default.instances),
        fuel: limit(LimitName::Fuel, default.fuel),
        timeout: Duration::from_secs(limit(LimitName::Timeout, default.timeout.as_secs())),
        output: limit(LimitName::Output, default.output),
        log: limit(LimitName::Log, default.log),
        calls: u32::try_from(limit(LimitName::Calls, default.calls.into())).unwrap_or(u32::MAX),
        call_bytes: limit(LimitName::CallBytes, default.call_bytes),
        traffic: limit(LimitName::Traffic, default.traffic),
        artifacts: limit(LimitName::Artifacts, default.artifacts),
    }
}

/// A limit as people write it.
pub(crate) fn shown(name: LimitName, value: u64) -> String {
    match unit(name) {
        Unit::Bytes => show(value),
        Unit::Seconds => format!("{value} seconds"),
        Unit::Pieces(_) => value.to_string(),
    }
}
