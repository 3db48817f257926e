//! The example's README shows real commands and their real output.
