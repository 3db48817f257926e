//! Integration tests of wflo, through the command line. The tests are in `it/`, the guests in `programs/`.
