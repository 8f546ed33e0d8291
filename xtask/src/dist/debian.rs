//! A package for Debian and its derivatives: the program, its service, completions and manual page.

use super::{
    build::{ProgramBuild, ReleaseInfo},
    tarball::{FileOwner, TarArchive, gzip},
};
use std::{fmt::Write as _, fs, path::PathBuf};

/// The unit of systemd, also for those who install the program otherwise.
const UNIT: &str = include_str!("../../../deploy/systemd/llm-gateway.service");
const CONFIGURATION: &str = "etc/llm-gateway/gateway.toml";

/// Writes the package.
pub(super) fn write(release: &ReleaseInfo<'_>, build: &ProgramBuild) -> anyhow::Result<PathBuf> {
    let version = &release.version;
    let mut data = TarArchive::new(release.time);
    let mut installed = 0;
    for folder in FOLDERS {
        data.folder(&format!("./{folder}"), 0o755, FileOwner::Root)?;
    }
    for (name, mode, content) in files(release, build)? {
        installed += content.len().div_ceil(1024);
        data.file(&format!("./{name}"), mode, &content)?;
    }
    let mut control = TarArchive::new(release.time);
    let about = control_file(release, build.target.image, installed);
    control.file("./control", 0o644, about.as_bytes())?;
    control.file("./conffiles", 0o644, format!("/{CONFIGURATION}\n").as_bytes())?;
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", gzip(&control.finish())?),
        ("data.tar.gz", gzip(&data.finish())?),
    ];
    let path = release.file("deb", &format!("llm-gateway_{version}_{}.deb", build.target.image))?;
    fs::write(&path, archive(&members, release.time))?;
    Ok(path)
}

const FOLDERS: &[&str] = &[
    "etc",
    "etc/llm-gateway",
    "usr",
    "usr/bin",
    "usr/lib",
    "usr/lib/systemd",
    "usr/lib/systemd/system",
    "usr/share",
    "usr/share/bash-completion",
    "usr/share/bash-completion/completions",
    "usr/share/doc",
    "usr/share/doc/llm-gateway",
    "usr/share/man",
    "usr/share/man/man1",
];

type PackedFile = (String, u32, Vec<u8>);

fn files(release: &ReleaseInfo<'_>, build: &ProgramBuild) -> anyhow::Result<Vec<PackedFile>> {
    let printed = &release.printed;
    let copyright = build.licences.clone();
    Ok(vec![
        (CONFIGURATION.to_owned(), 0o644, printed.configuration.clone().into_bytes()),
        ("usr/bin/gateway-server".to_owned(), 0o755, fs::read(&build.program)?),
        ("usr/lib/systemd/system/llm-gateway.service".to_owned(), 0o644, UNIT.as_bytes().to_vec()),
        (
            "usr/share/bash-completion/completions/gateway-server".to_owned(),
            0o644,
            printed.completions.clone().into_bytes(),
        ),
        ("usr/share/doc/llm-gateway/copyright".to_owned(), 0o644, copyright.into_bytes()),
        (
            "usr/share/man/man1/gateway-server.1.gz".to_owned(),
            0o644,
            gzip(printed.manual.as_bytes())?,
        ),
    ])
}

fn control_file(release: &ReleaseInfo<'_>, architecture: &str, installed: usize) -> String {
    let mut text = String::new();
    for (name, value) in [
        ("Package", "llm-gateway"),
        ("Version", &release.version),
        ("Architecture", architecture),
        ("Maintainer", "LLM gateway maintainers <maintainers@llm-gateway.invalid>"),
        ("Installed-Size", &installed.to_string()),
        ("Section", "net"),
        ("Priority", "optional"),
        ("Homepage", &release.repository),
        ("Description", &format!("{}\n {}", super::SUMMARY, super::DESCRIPTION)),
    ] {
        let _infallible = writeln!(text, "{name}: {value}");
    }
    text
}

/// Joins members to an archive of `ar`.
fn archive(members: &[(&str, Vec<u8>)], time: u64) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let length = content.len();
        let head = format!("{name:<16}{time:<12}0     0     100644  {length:<10}`\n");
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(content);
        if length % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::archive;

    #[test]
    fn members_have_heads_of_sixty_bytes() {
        let bytes = archive(&[("a", b"odd".to_vec()), ("b", b"even".to_vec())], 7);
        assert_eq!(bytes.len(), 8 + 60 + 4 + 60 + 4);
        let head = b"a               7           0     0     100644  3         `\nodd\n";
        assert!(bytes.starts_with(&[b"!<arch>\n".as_slice(), head].concat()));
    }
}
