//! A simulated channel to people: it is away, it refuses, and it hears some things twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use wflo_model::{Label, RunId};
use wflo_ports::{Notification, Notifier, NotifyError};

use crate::scenario::{Kind, Wrong};
use crate::world::World;

/// The one channel there is.
pub(crate) const CHANNEL: &str = "slack://people";

/// Something that was told, with what was durable of each run then.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) id: String,
    pub(crate) durable: BTreeMap<RunId, u64>,
}

pub(crate) struct SimChannel {
    world: Arc<World>,
    accepts: BTreeSet<Label>,
}

impl SimChannel {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), accepts: BTreeSet::new() }
    }
}

#[async_trait]
impl Notifier for SimChannel {
    async fn tell(&self, notification: &Notification) -> Result<(), NotifyError> {
        self.world.live_on().await;
        let fault = self.world.fault(Kind::Tell);
        if fault == Some(Wrong::ChannelRefuses) {
            return Err(NotifyError::Refused {
                message: "the simulated channel does not want it".to_owned(),
            });
        }
        {
            let inner = &mut *self.world.lock();
            let durable = inner.image.heads();
            inner.heard.push(Heard { id: notification.id.clone(), durable });
        }
        self.world.live_on().await;
        if fault == Some(Wrong::ChannelAway) {
            let message = "the simulated channel broke off".to_owned();
            return Err(NotifyError::Later { message, after: None });
        }
        Ok(())
    }

    fn accepts(&self) -> &BTreeSet<Label> {
        &self.accepts
    }

    fn hears_decisions(&self) -> bool {
        true
    }
}
