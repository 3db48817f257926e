//! Every byte wflo keeps at rest: records, hash chain, sealing, blobs, stores.
