//! Archives with the same bytes for the same content: names are sorted, times and owners are fixed.
//!
//! The form is that of POSIX (`ustar`), which every tool reads: what packages of all kinds hold.

use anyhow::{Context as _, ensure};
use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path, process};

/// The unit of the form, in bytes.
const BLOCK: usize = 512;

/// The owner of an entry, user and group alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FileOwner {
    Root,
    /// The user of the container image.
    Gateway,
}

/// The user and the group of the container image.
pub(super) const GATEWAY_ID: u32 = 1000;

/// An archive that grows.
#[derive(Debug)]
pub(super) struct TarArchive {
    bytes: Vec<u8>,
    /// The time of every entry, in seconds since 1970.
    time: u64,
}

impl TarArchive {
    pub(super) fn new(time: u64) -> Self {
        Self { bytes: Vec::new(), time }
    }

    /// Adds a folder.
    pub(super) fn folder(&mut self, name: &str, mode: u32, owner: FileOwner) -> anyhow::Result<()> {
        self.header(&format!("{name}/"), (mode, owner), 0, b'5')
    }

    /// Adds a file.
    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> anyhow::Result<()> {
        self.header(name, (mode, FileOwner::Root), content.len(), b'0')?;
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        Ok(())
    }

    /// Adds what lies in `folder` under `name`, sorted. Links are followed: an archive stands for itself.
    pub(super) fn tree(&mut self, name: &str, folder: &Path) -> anyhow::Result<()> {
        self.folder(name, 0o755, FileOwner::Root)?;
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        let mut paths = entries.map(|it| Ok(it?.path())).collect::<anyhow::Result<Vec<_>>>()?;
        paths.sort();
        for path in paths {
            let own = path.file_name().unwrap_or_default().to_string_lossy();
            let inner = format!("{name}/{own}");
            let about = fs::metadata(&path).with_context(|| path.display().to_string())?;
            if about.is_dir() {
                self.tree(&inner, &path)?;
            } else {
                let is_program = about.permissions().mode() & 0o100 != 0;
                self.file(&inner, if is_program { 0o755 } else { 0o644 }, &fs::read(&path)?)?;
            }
        }
        Ok(())
    }

    /// Returns the bytes of the complete archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }

    /// Adds the head of a member; `kind` is its type flag.
    fn header(
        &mut self,
        name: &str,
        (mode, owner): (u32, FileOwner),
        length: usize,
        kind: u8,
    ) -> anyhow::Result<()> {
        let (prefix, name) = split(name)?;
        let id = if owner == FileOwner::Root { 0 } else { GATEWAY_ID };
        let mut block = Vec::with_capacity(BLOCK);
        let mut field = |text: &str, width: usize| {
            let end = block.len() + width;
            block.extend_from_slice(text.as_bytes());
            block.resize(end, 0);
        };
        field(name, 100);
        field(&format!("{mode:07o}"), 8);
        field(&format!("{id:07o}"), 8);
        field(&format!("{id:07o}"), 8);
        field(&format!("{length:011o}"), 12);
        field(&format!("{:011o}", self.time), 12);
        field("        ", 8);
        field(&char::from(kind).to_string(), 1);
        field("", 100);
        field("ustar\x0000", 8);
        field("", 80);
        field(prefix, 155);
        block.resize(BLOCK, 0);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        for (place, byte) in block.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
            *place = byte;
        }
        self.bytes.extend_from_slice(&block);
        Ok(())
    }
}

/// Splits a name where the form needs it.
fn split(name: &str) -> anyhow::Result<(&str, &str)> {
    if name.len() <= 100 {
        return Ok(("", name));
    }
    let cut = name.char_indices().find(|(at, it)| *it == '/' && name.len() - at <= 101);
    let (prefix, rest) = cut.map_or(("", name), |(at, _)| name.split_at(at));
    let rest = rest.trim_start_matches('/');
    ensure!(rest.len() <= 100 && prefix.len() <= 155, "the name is too long: {name}");
    Ok((prefix, rest))
}

/// Compresses bytes, without a name or a time.
pub(super) fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = process::Command::new("gzip")
        .arg("-9nc")
        .stdin(process::Stdio::piped())
        .stdout(process::Stdio::piped())
        .spawn()
        .context("gzip")?;
    let mut input = child.stdin.take().context("a pipe")?;
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes));
        child.wait_with_output()
    })?;
    ensure!(output.status.success(), "gzip failed");
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::{FileOwner, TarArchive, gzip, split};
    use crate::workspace::Workspace;
    use std::{fs, process::Command};

    #[test]
    fn tar_reads_what_was_written() {
        let folder = Workspace::find().unwrap().scratch("tarball").unwrap();
        let long = format!("{}/{}", "a".repeat(90), "b".repeat(90));
        let mut tarball = TarArchive::new(86_400);
        tarball.folder("data", 0o750, FileOwner::Gateway).unwrap();
        tarball.file("bin/program", 0o755, b"content").unwrap();
        tarball.file(&long, 0o644, b"").unwrap();
        let path = folder.join("a.tar.gz");
        fs::write(&path, gzip(&tarball.finish()).unwrap()).unwrap();
        let listed = Command::new("tar").args(["-tvzf"]).arg(&path).env("TZ", "UTC").output();
        let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
        let lines: Vec<String> =
            listed.lines().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "drwxr-x--- 1000/1000 0 1970-01-02 00:00 data/".to_owned(),
                "-rwxr-xr-x 0/0 7 1970-01-02 00:00 bin/program".to_owned(),
                format!("-rw-r--r-- 0/0 0 1970-01-02 00:00 {long}"),
            ]
        );
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        assert_eq!(split("a/b").unwrap(), ("", "a/b"));
        assert!(split(&"x".repeat(101)).is_err());
        assert!(split(&format!("{}/b", "x".repeat(200))).is_err());
    }
}
