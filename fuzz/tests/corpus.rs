//! Every input that is kept is given to its target.
#![cfg(test)]

use gateway_fuzz::{TARGETS, run};
use std::{collections::BTreeSet, fs, path::Path};

fn corpus() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

#[test]
fn corpus_inputs_run_without_crash() {
    for (name, _) in TARGETS {
        let folder = corpus().join(name);
        let mut inputs = 0;
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}")) {
            run(name, &fs::read(entry.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no inputs");
    }
}

#[test]
fn every_folder_of_inputs_has_a_target() {
    let folders = fs::read_dir(corpus()).unwrap().map(|it| it.unwrap().file_name());
    let folders: BTreeSet<_> = folders.map(|it| it.into_string().unwrap()).collect();
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(folders, targets);
}

/// Nothing is too short, too long or too strange.
#[test]
fn odd_bytes_do_no_harm() {
    let odd: [&[u8]; 6] =
        [b"", b"\0", b"\xff\xfe", b"{", &[b'['; 5000], "\u{feff}data: \u{2028}\r\r\n".as_bytes()];
    for (name, _) in TARGETS {
        for data in odd {
            run(name, data);
        }
    }
}
