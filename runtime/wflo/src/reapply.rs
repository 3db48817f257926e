//! Taking back what a run applied to infrastructure: the configuration before is applied again.

use wflo_engine::{Event, Reapplied, Reapply};
use wflo_model::Label;
use wflo_ports::{RestoreRequest, Restored, TerraformError, TerraformSnapshot};

use crate::RuntimeError;
use crate::attempt::AttemptFailed;
use crate::executor::Executor;
use crate::run_log::recorded;
use crate::terraform::bound;

impl Executor<'_> {
    /// Applies again, in one go, the configuration that a terraform folder had before the first of the run's plans. A
    /// crash in its middle has it done again: what is applied already is found to be so.
    pub(crate) async fn reapply(&self, label: &Label) -> Result<(), RuntimeError> {
        // The last that was applied first.
        let Some(applied) = self.log.read(|state| {
            let all = state.rolling_back()?.plan.as_ref()?.reapply.iter();
            let here: Vec<Reapply> = all.filter(|it| it.terraform == *label).cloned().collect();
            (!here.is_empty()).then_some(here)
        }) else {
            return Ok(());
        };
        let request = match self.request(&applied).await? {
            Some(request) => request,
            None => {
                return Err(RuntimeError::Bug {
                    message: format!("no plan of `{label}` is to be taken back"),
                });
            }
        };
        let folder = match bound(&self.host.outside, label) {
            Ok(bound) => bound.folder(),
            Err(error) => {
                return self.reapplied(label, &applied, Reapplied::Failed { why: error.to_string() }).await;
            }
        };
        let came_to = match folder.restore(&request).await {
            Ok(Restored::Done { serial }) => Reapplied::Done { serial: Some(serial) },
            Ok(Restored::Left { message: why }) => Reapplied::Left { why },
            Ok(_) => Reapplied::Failed { why: "this version does not know what became of it".to_owned() },
            // Somebody is at it: it is done when the run is resumed.
            Err(TerraformError::Unavailable { message }) => {
                let message = format!("what was applied to `{label}` cannot be taken back now: {message}");
                return Err(AttemptFailed::Away { step: applied[0].unit().to_string(), message }.into());
            }
            Err(error) => Reapplied::Failed { why: error.to_string() },
        };
        self.reapplied(label, &applied, came_to).await
    }

    async fn reapplied(
        &self,
        label: &Label,
        applied: &[Reapply],
        came_to: Reapplied,
    ) -> Result<(), RuntimeError> {
        let units = applied.iter().map(Reapply::unit).collect();
        self.append(Event::Reapplied { terraform: label.clone(), units, came_to }).await
    }

    /// What is to be restored: of each file what the first plan found, and what the last left.
    async fn request(&self, applied: &[Reapply]) -> Result<Option<RestoreRequest>, RuntimeError> {
        let mut request: Option<RestoreRequest> = None;
        for it in applied {
            let TerraformSnapshot { plan, files, .. } = self.snapshot(it).await?;
            match &mut request {
                None => request = Some(RestoreRequest { plan: plan.digest, files, serial: it.serial }),
                Some(request) => {
                    for (path, file) in files {
                        match request.files.get_mut(&path) {
                            Some(later) => later.before = file.before,
                            None => _ = request.files.insert(path, file),
                        }
                    }
                }
            }
        }
        Ok(request)
    }

    async fn snapshot(&self, of: &Reapply) -> Result<TerraformSnapshot, RuntimeError> {
        let (run, seq) = (of.run.unwrap_or(*self.log.run()), of.snapshot);
        let mut reader = self.runtime.journal().reader(run, seq).await?;
        let entry = reader.next().await?;
        let event = entry.as_ref().map(recorded).transpose().map_err(crate::LogFailed::from)?;
        let none = || RuntimeError::Bug { message: format!("event {seq} has no snapshot") };
        match event.map(|recorded| recorded.event) {
            Some(Event::Returned(returned)) => {
                let value = returned.result.map_err(|_| none())?;
                serde_json::from_value(value).map_err(|_| none())
            }
            _ => Err(none()),
        }
    }
}
