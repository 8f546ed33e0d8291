//! The path of the binary under test.

use std::{
    env,
    fs::{self, File},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::OnceLock,
};

/// The gateway: what `GATEWAY_SERVER_BIN` names, else built once, beside the tests themselves.
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| env::var_os("GATEWAY_SERVER_BIN").map_or_else(built, PathBuf::from))
}

/// Builds the binary unless that was done in this run: nextest starts a process for every test, and
/// they are all to wait for the first.
fn built() -> PathBuf {
    let profile = profile_directory();
    let binary = profile.join(format!("gateway-server{}", env::consts::EXE_SUFFIX));
    let mut mark = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(profile.join("gateway-server.built"))
        .expect("a file beside the tests");
    mark.lock().expect("a lock");
    let mut done_by = String::new();
    mark.read_to_string(&mut done_by).expect("the name of a run");
    let run = env::var_os("NEXTEST_RUN_ID")
        .map_or_else(|| process::id().to_string(), |run| run.to_string_lossy().into_owned());
    if done_by != run || !binary.exists() {
        build(&profile);
        mark.set_len(0).expect("an open file");
        mark.rewind().expect("an open file");
        mark.write_all(run.as_bytes()).expect("an open file");
    }
    binary
}

/// Returns `target/debug` for `target/debug/deps/it-0123`.
fn profile_directory() -> PathBuf {
    let tests = env::current_exe().expect("a running test");
    let profile = tests.ancestors().nth(2).expect("a directory above the tests");
    fs::canonicalize(profile).expect("a directory")
}

fn build(profile: &Path) {
    let name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo tells tests of their package would have build scripts that look at it, and all
    // that depends on them, built anew: here, and once more by whoever builds next.
    for (name, _) in env::vars_os() {
        let told = name.to_string_lossy();
        if ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|begin| told.starts_with(begin)) {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .args(["build", "--quiet", "-p", "gateway-server", "--bin", "gateway-server"])
        .args(["--profile", name, "--target-dir"])
        .arg(profile.parent().expect("a target directory"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the gateway does not build");
}
