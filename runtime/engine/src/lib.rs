//! The pure core of wflo: events, the fold over them, and what happens next.
