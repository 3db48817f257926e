//! The target `http` of `wflo-fuzz`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let target = wflo_fuzz::TARGETS.iter().find(|(name, _)| *name == "http").expect("a target of that name").1;
    target(bytes);
});
