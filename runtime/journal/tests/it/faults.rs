//! Every sync of every scenario fails in turn.
