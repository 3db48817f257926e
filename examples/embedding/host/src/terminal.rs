//! The approver: whoever sits at the terminal.

use std::io::{self, BufRead, Write};

use wflo::{ApprovalView, Verdict};

/// Shows what is to be decided, and asks until it is.
pub(crate) fn ask(
    approval: &ApprovalView,
    from: &mut impl BufRead,
    to: &mut impl Write,
) -> io::Result<Verdict> {
    match &approval.step {
        Some(step) => writeln!(to, "step `{step}` asks for approval of:")?,
        None => writeln!(to, "the run asks for approval of:")?,
    }
    writeln!(to, "{}", serde_json::to_string_pretty(&approval.shows)?)?;
    loop {
        write!(to, "approve? [y/n] ")?;
        to.flush()?;
        let mut answer = String::new();
        if from.read_line(&mut answer)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "nobody answered"));
        }
        match answer.trim() {
            "y" => return Ok(Verdict::Approve),
            "n" => return Ok(Verdict::Reject),
            _ => {}
        }
    }
}
