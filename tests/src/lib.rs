//! Integration tests of wflo, through the command line.
