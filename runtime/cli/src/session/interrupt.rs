//! Ctrl-C and SIGTERM: the first asks the command to stop where it stands, the second ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::{Code, Failure};

/// Told of the first signal.
pub(crate) struct Interrupt {
    told: watch::Receiver<Option<Code>>,
    heeded: bool,
}

impl Interrupt {
    /// Takes the two signals over, for as long as the process lives.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let mut interrupts = signal(SignalKind::interrupt()).map_err(Failure::bug)?;
        let mut terminates = signal(SignalKind::terminate()).map_err(Failure::bug)?;
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let code = tokio::select! {
                    Some(()) = interrupts.recv() => Code::Interrupted,
                    Some(()) = terminates.recv() => Code::Terminated,
                    else => return,
                };
                if tell.send_replace(Some(code)).is_some() {
                    // Whoever signals twice does not want to wait.
                    std::process::exit(code as i32);
                }
            }
        });
        Ok(Self { told, heeded: false })
    }

    /// Another ear for the same signals.
    pub(crate) fn again(&self) -> Self {
        Self { told: self.told.clone(), heeded: self.heeded }
    }

    /// Waits for the first signal and says with which code the command ends.
    pub(crate) async fn first(&mut self) -> Code {
        if self.heeded {
            return std::future::pending().await;
        }
        // Taken out at once: what it is taken from must not be held while waiting.
        let told = self.told.wait_for(Option::is_some).await.map(|code| *code);
        match told {
            Ok(code) => code.unwrap_or(Code::Interrupted),
            // Whoever tells lives as long as the process.
            Err(_) => std::future::pending().await,
        }
    }

    /// What the first signal asked for has been done: from now on only the second counts.
    pub(crate) const fn forget(&mut self) {
        self.heeded = true;
    }
}
