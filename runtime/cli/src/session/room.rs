//! The sandbox of this process: what the deployment gives it room for.

use std::path::Path;
use std::sync::Arc;

use wflo_manifest::{Deployment, SandboxRules};
use wflo_model::{LimitName, Limits};
use wflo_sandbox::{Apart, CompileLimits, Sandbox, SandboxConfig};

use crate::failure::Failure;

/// What a deployment says of the sandbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    rules: SandboxRules,
    max_memory: u64,
}

impl Room {
    pub(crate) fn of(deployment: &Deployment) -> Self {
        // A ceiling above what is there anyway makes room; one below it is held at each attempt.
        let ceiling = deployment.ceilings.limits.get(&LimitName::Memory).copied().unwrap_or_default();
        Self { rules: deployment.sandbox, max_memory: ceiling.max(Limits::MOST_MEMORY) }
    }

    fn config(&self) -> SandboxConfig {
        let default = SandboxConfig::default();
        let stack = self.rules.stack.and_then(|stack| usize::try_from(stack).ok());
        SandboxConfig {
            cache_dir: None,
            instances: self.rules.attempts.unwrap_or(default.instances),
            max_memory: self.max_memory,
            stack: stack.unwrap_or(default.stack),
            cache_bytes: self.rules.compiled.unwrap_or(default.cache_bytes),
        }
    }

    fn compiling(&self) -> CompileLimits {
        let default = CompileLimits::default();
        CompileLimits {
            memory: self.rules.compile_memory.unwrap_or(default.memory),
            cpu: self.rules.compile_time.unwrap_or(default.cpu),
            wall: self.rules.compile_time.unwrap_or(default.wall),
        }
    }
}

/// A sandbox, with its compiled code kept in the state folder if there is one. Components are compiled in a process of
/// their own: this one has runs to drive.
pub(crate) fn sandbox(state: Option<&Path>, room: &Room) -> Result<Arc<Sandbox>, Failure> {
    let cache_dir = state.map(|state| state.join("compiled"));
    let itself = std::env::current_exe().map_err(Failure::bug)?;
    let compiler = Apart::new(itself, [crate::args::COMPILE.into()], room.compiling());
    let config = SandboxConfig { cache_dir, ..room.config() };
    Sandbox::with_compiler(config, Arc::new(compiler)).map_err(|error| {
        Failure::usage(error).hint("`[sandbox]` of the deployment may ask for more than there is")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wflo_manifest::Deployment;
    use wflo_sandbox::{CompileLimits, SandboxConfig};

    use super::Room;

    fn room(text: &str) -> Room {
        Room::of(&Deployment::parse("wflo.toml", text).unwrap_or_else(|wrong| panic!("{wrong}")))
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(room("").config(), SandboxConfig::default());
        assert_eq!(room("").compiling(), CompileLimits::default());
    }

    #[test]
    fn every_key_reaches_the_sandbox() {
        let room = room(
            "[sandbox]\nattempts = 3\nstack = \"1MiB\"\ncompiled_code = \"2GiB\"\ncompile_memory = \"1GiB\"\n\
             compile_seconds = 9\n[limits]\nmax_memory = \"1GiB\"\n",
        );
        let nine = Duration::from_secs(9);
        let config = SandboxConfig {
            cache_dir: None,
            instances: 3,
            max_memory: 1 << 30,
            stack: 1 << 20,
            cache_bytes: 2 << 30,
        };
        assert_eq!(room.config(), config);
        assert_eq!(room.compiling(), CompileLimits { memory: 1 << 30, cpu: nine, wall: nine });
    }

    #[test]
    fn a_low_ceiling_is_held_at_each_attempt_and_makes_no_pool_smaller() {
        assert_eq!(room("[limits]\nmax_memory = \"16MiB\"\n").config(), SandboxConfig::default());
    }
}
