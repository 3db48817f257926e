//! What goes over the socket: frames of JSON, each after its length in four bytes, big-endian.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::operation::{Request, Streamed};
use crate::failure::Failure;

/// The version of what goes over the socket.
const PROTOCOL: u32 = 1;
/// The largest frame. Nothing that is asked or answered comes near; a peer that is not wflo must not fill the memory.
pub(crate) const MAX_FRAME: u32 = 64 * 1024 * 1024;
/// The largest first frame: it comes from nobody known.
pub(crate) const MAX_HELLO: u32 = 4096;

/// The first frame each side sends. Later versions keep these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    pub(crate) wflo: String,
    pub(crate) process: u32,
}

/// What a client asks, one at a time.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) request: Request,
}

/// What it is answered: any number of `Streamed`, then one of the others.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// Meanwhile.
    Streamed(Streamed),
    /// The answer.
    Done(serde_json::Value),
    /// It failed.
    Failed(Failure),
    /// The holder is leaving: ask whoever holds the store next.
    Moved,
}

/// Why a frame did not come, or did not leave.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The other side has gone.
    #[error("the connection is gone: {0}")]
    Io(#[from] io::Error),
    /// It is larger than any of ours.
    #[error("a message of {size} bytes; at most {limit} are taken")]
    TooLarge { size: usize, limit: u32 },
    /// It is not what is expected here.
    #[error("a message that cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Hello {
    pub(crate) fn ours() -> Self {
        Self { protocol: PROTOCOL, wflo: env!("CARGO_PKG_VERSION").to_owned(), process: std::process::id() }
    }

    /// Whether both sides mean the same by what they send.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.wflo == other.wflo
    }
}

pub(crate) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    frame: &(impl Serialize + Sync),
) -> Result<(), FrameError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame)?;
    let size = bytes.len() - 4;
    match u32::try_from(size) {
        Ok(length) if length <= MAX_FRAME => bytes[..4].copy_from_slice(&length.to_be_bytes()),
        _ => return Err(FrameError::TooLarge { size, limit: MAX_FRAME }),
    }
    to.write_all(&bytes).await?;
    Ok(to.flush().await?)
}

/// Reads a frame of at most `limit` bytes. Memory is taken as they come, not as the length promises.
pub(crate) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    limit: u32,
) -> Result<T, FrameError> {
    let length = from.read_u32().await?;
    if length > limit {
        return Err(FrameError::TooLarge { size: length as usize, limit });
    }
    let mut bytes = Vec::new();
    let read = from.take(length.into()).read_to_end(&mut bytes).await?;
    if read < length as usize {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::{FrameError, Hello, MAX_HELLO, read, write};

    #[tokio::test]
    async fn a_frame_comes_back_and_a_bad_one_is_refused() {
        let mut bytes = Vec::new();
        write(&mut bytes, &Hello::ours()).await.unwrap();
        let hello: Hello = read(&mut &bytes[..], MAX_HELLO).await.unwrap();
        assert!(hello.fits(&Hello::ours()));

        let cut = read::<Hello>(&mut &bytes[..bytes.len() - 1], MAX_HELLO).await;
        assert!(matches!(cut, Err(FrameError::Io(_))), "{cut:?}");
        let large = read::<Hello>(&mut &[0xff, 0xff, 0xff, 0xff][..], MAX_HELLO).await;
        assert!(matches!(large, Err(FrameError::TooLarge { .. })), "{large:?}");
        let other = read::<Hello>(&mut &b"\0\0\0\x02{}"[..], MAX_HELLO).await;
        assert!(matches!(other, Err(FrameError::Malformed(_))), "{other:?}");
    }
}
