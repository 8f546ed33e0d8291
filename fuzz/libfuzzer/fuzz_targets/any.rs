//! Gives libFuzzer's inputs to the target that `FUZZ_TARGET` names.
#![no_main]

use gateway_fuzz::{TARGETS, Target};
use std::sync::LazyLock;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    TARGETS.iter().find(|(name, _)| *name == wanted).expect("a target of this name").1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
