//! [`Store`](super::Store) for whatever has a [`GroupCommit`](super::commit::GroupCommit) in its field `commit`
//! and an `id`.

macro_rules! store_by_group_commit {
    ($store:ty) => {
        #[async_trait::async_trait]
        impl $crate::store::Store for $store {
            fn id(&self) -> wflo_model::StoreId {
                self.id
            }

            fn submit(&self, append: $crate::store::Append) -> $crate::store::Ticket {
                self.commit.submit(append)
            }

            async fn create_run(
                &self,
                create: $crate::store::CreateRun,
            ) -> Result<$crate::store::CreateOutcome, $crate::AppendError> {
                self.commit.create(create).await
            }

            async fn claim(&self, run: wflo_model::RunId) -> Result<$crate::RunRow, $crate::AppendError> {
                self.commit.claim(run).await
            }

            async fn run(&self, run: wflo_model::RunId) -> Result<Option<$crate::RunRow>, $crate::ReadError> {
                self.commit.shared().row(run)
            }

            async fn runs(
                &self,
                before: Option<wflo_model::RunId>,
                limit: usize,
            ) -> Result<Vec<(wflo_model::RunId, $crate::RunRow)>, $crate::ReadError> {
                self.commit.shared().rows(before, limit)
            }

            async fn read(
                &self,
                run: wflo_model::RunId,
                from: u64,
                limit: usize,
            ) -> Result<Vec<Vec<u8>>, $crate::ReadError> {
                self.commit.shared().events(run, from, limit)
            }

            async fn places(
                &self,
                run: wflo_model::RunId,
                step: &wflo_model::StepName,
                item: Option<u32>,
            ) -> Result<Vec<std::ops::RangeInclusive<u64>>, $crate::ReadError> {
                self.commit.shared().places(run, step, item)
            }

            async fn unfinished(
                &self,
                after: Option<wflo_model::RunId>,
                limit: usize,
            ) -> Result<Vec<wflo_model::RunId>, $crate::ReadError> {
                self.commit.shared().unfinished(after, limit)
            }

            async fn by_key(&self, key: &[u8]) -> Result<Option<wflo_model::RunId>, $crate::ReadError> {
                self.commit.shared().by_key(key)
            }

            async fn due(
                &self,
                now: wflo_model::Timestamp,
                limit: usize,
            ) -> Result<Vec<(wflo_model::Timestamp, wflo_model::RunId)>, $crate::ReadError> {
                self.commit.shared().due(now, limit)
            }

            async fn outbox(
                &self,
                after: Option<$crate::OutboxKey>,
                until: wflo_model::Timestamp,
                limit: usize,
            ) -> Result<Vec<$crate::OutboxRow>, $crate::ReadError> {
                self.commit.shared().outbox(after, until, limit)
            }

            fn change_outbox(&self, change: $crate::OutboxChange) -> $crate::store::Ticket {
                self.commit.change_outbox(change)
            }

            async fn account(
                &self,
                account: &str,
                window: &str,
            ) -> Result<$crate::AccountRow, $crate::ReadError> {
                self.commit.shared().account(account, window)
            }

            async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, $crate::ReadError> {
                self.commit.shared().meta(name)
            }

            fn put_meta(
                &self,
                name: &str,
                value: Vec<u8>,
                after: Vec<$crate::store::Barrier>,
            ) -> $crate::store::Ticket {
                self.commit.put_meta(name, value, after)
            }

            async fn prune(
                &self,
                sieve: Box<dyn $crate::store::Sieve>,
            ) -> Result<$crate::store::Sifted, $crate::PruneError> {
                self.commit.prune(sieve).await
            }

            fn poisoned(&self) -> Option<String> {
                self.commit.shared().poisoned()
            }
        }
    };
}
pub(super) use store_by_group_commit;
