//! `[sandbox]` of the deployment: what holds for all attempts of a process, and for the compiling of components.

use std::time::Duration;

use crate::reader::{Node, Reader, Section};
use crate::size::Size;

/// What the sandbox of a process has room for. Where nothing is said, the sandbox's own default holds.
///
/// ```
/// use wflo_manifest::Deployment;
/// let text = "[sandbox]\nstack = \"1MiB\"\ncompile_seconds = 30\n";
/// let rules = Deployment::parse("wflo.toml", text).unwrap().sandbox;
/// assert_eq!(rules.stack, Some(1 << 20));
/// assert_eq!(rules.attempts, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SandboxRules {
    /// Attempts that run at the same time; further ones wait for their turn.
    pub attempts: Option<u32>,
    /// Bytes of the stack of each.
    pub stack: Option<u64>,
    /// Most bytes of compiled code that are kept on disk.
    pub compiled: Option<u64>,
    /// Bytes of address space that the compiling of one component may take.
    pub compile_memory: Option<u64>,
    /// Time that it may take, of the processor as of the clock.
    pub compile_time: Option<Duration>,
}

/// Attempts at once: each reserves address space for its memory twice.
const MOST_ATTEMPTS: u64 = 4096;
/// Below this no program gets as far as its first call, and above it, address space is what is spent.
const STACK: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 20;
/// Less than this is not enough for the smallest component.
const LEAST_COMPILE_MEMORY: u64 = 256 << 20;
/// An hour.
const LONGEST_COMPILE: u64 = 3600;

pub(crate) fn read(reader: &mut Reader, mut section: Section<'_>) -> SandboxRules {
    let attempts = section.take("attempts").and_then(|node| node.integer(reader, 1..=MOST_ATTEMPTS));
    let rules = SandboxRules {
        attempts: attempts.and_then(|attempts| u32::try_from(attempts.value).ok()),
        stack: section.take("stack").and_then(|node| size(reader, &node, STACK)),
        compiled: section.take("compiled_code").and_then(|node| size(reader, &node, 0..=u64::MAX)),
        compile_memory: section
            .take("compile_memory")
            .and_then(|node| size(reader, &node, LEAST_COMPILE_MEMORY..=u64::MAX)),
        compile_time: section
            .take("compile_seconds")
            .and_then(|node| node.integer(reader, 1..=LONGEST_COMPILE))
            .map(|seconds| Duration::from_secs(seconds.value)),
    };
    section.finish(reader);
    rules
}

fn size(reader: &mut Reader, node: &Node<'_>, within: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let size = node.parse::<Size>(reader)?;
    if within.contains(&size.value.0) {
        return Some(size.value.0);
    }
    let (least, most) = (crate::size::show(*within.start()), crate::size::show(*within.end()));
    let message = if *within.end() == u64::MAX {
        format!("this must be {least} or more")
    } else {
        format!("this must be between {least} and {most}")
    };
    reader.error(size.span, message);
    None
}
