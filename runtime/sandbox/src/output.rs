//! What a guest prints and logs, cut into lines and kept within bounds.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wflo_host_api::{LogLevel, LogLine, Stop};
use wflo_model::Limits;

use crate::fault::LimitHit;

/// Longest line; a longer one is cut into several, so that a guest that never ends its line cannot grow the
/// host's memory.
const LINE: usize = 16 << 10;
/// What a line costs beside its text, so that empty lines are bounded too.
const LINE_OVERHEAD: u64 = 16;
/// Lines of stderr that explain a fault.
const TAIL_LINES: usize = 12;
/// What a line begins with that says what went wrong, before a stack of any length: those of Go.
const HEADLINES: [&str; 2] = ["panic: ", "fatal error: "];
/// Bytes kept of each of those lines.
const TAIL_WIDTH: usize = 500;

/// One of the two streams of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// All output of one attempt: shared by its streams and its log.
pub(crate) struct Output {
    limit: u64,
    left: u64,
    dropped: u64,
    /// Bytes that were dropped.
    over: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    pending: Vec<LogLine>,
    tail: VecDeque<String>,
}

impl Output {
    pub(crate) fn shared(limit: u64) -> SharedOutput {
        SharedOutput(Arc::new(Mutex::new(Self {
            limit,
            left: limit,
            dropped: 0,
            over: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
            pending: Vec::new(),
            tail: VecDeque::new(),
        })))
    }

    /// Takes bytes that the guest wrote to a stream.
    fn write(&mut self, stream: Stream, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let partial = self.partial(stream);
            let room = &bytes[..bytes.len().min(LINE - partial.len())];
            let (piece, ended) = match room.iter().position(|byte| *byte == b'\n') {
                Some(end) => (&room[..end], true),
                None => (room, false),
            };
            partial.extend_from_slice(piece);
            let full = partial.len() == LINE;
            bytes = &bytes[piece.len() + usize::from(ended)..];
            if ended || full {
                self.end_line(stream);
            }
        }
    }

    fn partial(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn end_line(&mut self, stream: Stream) {
        let bytes = std::mem::take(self.partial(stream));
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        let (level, context) = match stream {
            Stream::Stdout => (LogLevel::Info, "stdout"),
            Stream::Stderr => {
                self.remember(text);
                (LogLevel::Warn, "stderr")
            }
        };
        self.push(LogLine { level, context: context.to_owned(), message: text.to_owned() });
    }

    fn remember(&mut self, line: &str) {
        // Rust's advice about an environment variable that a guest cannot have.
        if line.is_empty() || line.starts_with("note: run with `RUST_BACKTRACE=1`") {
            return;
        }
        let is_headline = |line: &str| HEADLINES.iter().any(|begin| line.starts_with(begin));
        if is_headline(line) {
            self.tail.clear();
        }
        if self.tail.len() == TAIL_LINES {
            let spared = self.tail.front().is_some_and(|first| is_headline(first));
            self.tail.remove(usize::from(spared));
        }
        self.tail.push_back(line[..line.floor_char_boundary(TAIL_WIDTH)].to_owned());
    }

    /// Takes a line, unless the limit is reached: from then on every line is dropped, so that what is kept has
    /// no gaps.
    pub(crate) fn push(&mut self, line: LogLine) {
        let cost = (line.context.len() + line.message.len()) as u64 + LINE_OVERHEAD;
        if cost > self.left {
            self.left = 0;
            self.dropped += 1;
            self.over = self.over.saturating_add(cost);
            return;
        }
        self.left -= cost;
        self.pending.push(line);
    }

    /// The limit that was reached, once the guest does little but log.
    pub(crate) fn flood(&self) -> Option<LimitHit> {
        let flood = self.limit.saturating_mul(Limits::LOG_FLOOD - 1);
        (self.over > flood).then_some(LimitHit::Log { limit: self.limit })
    }

    /// Takes out the lines that are complete.
    pub(crate) fn take(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.pending)
    }

    /// Ends open lines, and adds the one that says how many were dropped.
    pub(crate) fn finish(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.partial(stream).is_empty() {
                self.end_line(stream);
            }
        }
        if self.dropped > 0 {
            let message =
                format!("{} lines were dropped: more than {} bytes of log (`log`)", self.dropped, self.limit);
            self.pending.push(LogLine { level: LogLevel::Warn, context: "wflo".to_owned(), message });
            self.dropped = 0;
        }
    }

    /// The last lines of stderr, behind the one that says what went wrong, if one does.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.tail.iter().cloned().collect()
    }
}

/// [`Output`], as its streams and the gate share it.
#[derive(Clone)]
pub(crate) struct SharedOutput(Arc<Mutex<Output>>);

impl SharedOutput {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Output> {
        // Nothing in here is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stream(&self, stream: Stream) -> OutputLines {
        OutputLines { output: self.clone(), stream }
    }
}

/// Stdout or stderr of a guest.
#[derive(Clone)]
pub(crate) struct OutputLines {
    output: SharedOutput,
    stream: Stream,
}

impl IsTerminal for OutputLines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for OutputLines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for OutputLines {
    async fn ready(&mut self) {}
}

impl OutputStream for OutputLines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut output = self.output.lock();
        output.write(self.stream, &bytes);
        match output.flood() {
            Some(hit) => Err(StreamError::Trap(Stop::from(hit).into())),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for OutputLines {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.output.lock().write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE, LimitHit, Output, Stream};

    fn messages(output: &mut Output) -> Vec<String> {
        output.take().into_iter().map(|line| line.message).collect()
    }

    #[test]
    fn writes_are_joined_and_cut_at_line_ends() {
        let shared = Output::shared(1 << 20);
        let mut output = shared.lock();
        output.write(Stream::Stdout, b"par");
        output.write(Stream::Stderr, b"other\r\n");
        output.write(Stream::Stdout, b"tial\n\nnext");
        assert_eq!(messages(&mut output), ["other", "partial", ""]);
        output.finish();
        assert_eq!(messages(&mut output), ["next"]);
        assert_eq!(output.tail(), ["other"]);
    }

    #[test]
    fn what_went_wrong_stays_before_a_long_stack() {
        let shared = Output::shared(1 << 20);
        let mut output = shared.lock();
        output.write(Stream::Stderr, b"much ado\npanic: assignment to entry in nil map\n");
        for frame in 0..40 {
            output.write(Stream::Stderr, format!("frame {frame}\n").as_bytes());
        }
        let tail = output.tail();
        assert_eq!(
            (tail.len(), &tail[0][..], &tail[11][..]),
            (12, "panic: assignment to entry in nil map", "frame 39")
        );
    }

    #[test]
    fn an_endless_line_is_cut() {
        let shared = Output::shared(1 << 20);
        let mut output = shared.lock();
        output.write(Stream::Stdout, &vec![b'x'; 2 * LINE + 1]);
        assert_eq!(output.take().len(), 2);
        output.finish();
        assert_eq!(messages(&mut output), ["x"]);
    }

    #[test]
    fn who_goes_on_all_the_same_is_a_flood() {
        let shared = Output::shared(100);
        let mut output = shared.lock();
        // 10 bytes, 6 of `stdout` and 16 of what a line costs: the first three fit.
        for _ in 0..3 + 46 {
            output.write(Stream::Stdout, b"ten bytes.\n");
        }
        assert!(output.flood().is_none());
        output.write(Stream::Stdout, b"ten bytes.\n");
        assert!(matches!(output.flood(), Some(LimitHit::Log { limit: 100 })));
    }

    #[test]
    fn over_the_limit_lines_are_counted_and_dropped() {
        let shared = Output::shared(50);
        let mut output = shared.lock();
        output.write(Stream::Stdout, b"one\ntwo\nthree\nfour\n");
        output.finish();
        assert_eq!(
            messages(&mut output),
            ["one", "two", "2 lines were dropped: more than 50 bytes of log (`log`)"]
        );
    }
}
