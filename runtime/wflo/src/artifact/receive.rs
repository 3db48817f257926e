//! Takes the body of an answer as it comes, and makes an artifact of it.

use async_trait::async_trait;
use wflo_host_api::{Artifacts as _, Stop};
use wflo_model::{Artifact, ArtifactName};
use wflo_ports::{BodySink, HttpError, HttpResponse};

use super::Desk;
use crate::scrub::{Scrubber, Stream};

/// The body of one answer on its way. A successful one becomes an artifact; another is small, and is kept with the
/// answer for the step to look at.
pub(crate) struct Receiving<'a> {
    desk: &'a mut Desk,
    writer: u32,
    scrub: Stream,
    /// Whether the server may have been told a secret.
    may_be_told: bool,
    /// Most bytes of a body that becomes no artifact.
    inline_limit: u64,
    into: Into,
    /// Why it could not be kept: that is the host's failure, and not the server's.
    failed: Option<Stop>,
}

enum Into {
    Artifact,
    Body(Vec<u8>),
}

impl<'a> Receiving<'a> {
    /// Makes ready. The desk must be told what became of it, by [`finish`](Self::finish) or [`undo`](Self::undo).
    pub(crate) fn new(
        desk: &'a mut Desk,
        name: ArtifactName,
        scrubber: &Scrubber,
        may_be_told: bool,
        inline_limit: u64,
    ) -> Result<Self, wflo_model::CallError> {
        let writer = desk.create(name)?;
        let (scrub, into) = (scrubber.stream(), Into::Body(Vec::new()));
        Ok(Self { desk, writer, scrub, may_be_told, inline_limit, into, failed: None })
    }

    /// The artifact; or none, and the body is put into the answer.
    pub(crate) async fn finish(
        mut self,
        answer: &mut HttpResponse,
        scrubber: &Scrubber,
    ) -> Result<Option<Artifact>, Stop> {
        let rest = self.scrub.rest();
        match &mut self.into {
            Into::Artifact => {
                scrubber.headers(answer);
                self.desk.write(self.writer, &rest).await?;
                self.desk.seal(self.writer).await.map(Some)
            }
            Into::Body(body) => {
                answer.body = std::mem::take(body).into();
                scrubber.response(answer, self.may_be_told);
                self.desk.undo(self.writer);
                Ok(None)
            }
        }
    }

    /// Forgets it. Gives why the host could not keep it, if that is why it ended.
    pub(crate) fn undo(self) -> Option<Stop> {
        self.desk.undo(self.writer);
        self.failed
    }
}

#[async_trait]
impl BodySink for Receiving<'_> {
    fn begins(&mut self, answer: &HttpResponse) {
        // What is compressed or in parts though it was asked not to be may hide a secret: it is not kept.
        let is_hidden = self.may_be_told && Scrubber::is_in_parts(answer);
        if (200..300).contains(&answer.status) && !is_hidden {
            self.into = Into::Artifact;
        }
    }

    async fn take(&mut self, piece: &[u8]) -> Result<(), HttpError> {
        match &mut self.into {
            Into::Body(body) => {
                if body.len() as u64 + piece.len() as u64 > self.inline_limit {
                    return Err(HttpError::TooLarge { limit: self.inline_limit });
                }
                body.extend_from_slice(piece);
                Ok(())
            }
            Into::Artifact => {
                let clean = self.scrub.push(piece);
                let left = self.desk.left();
                if clean.len() as u64 > left {
                    return Err(HttpError::TooLarge { limit: left });
                }
                let written = self.desk.write(self.writer, &clean).await;
                written.map_err(|stop| {
                    let message = stop.to_string();
                    self.failed = Some(stop);
                    HttpError::NotKept { message }
                })
            }
        }
    }
}
