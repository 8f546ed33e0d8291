//! The formula for Homebrew, which installs the archive of a system.

use super::{
    build::{ProgramBuild, ReleaseInfo},
    digest::sha256_hex,
};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Writes the formula for these archives.
pub(super) fn write(
    release: &ReleaseInfo<'_>,
    archives: &[(&ProgramBuild, PathBuf)],
) -> anyhow::Result<PathBuf> {
    let mut systems = String::new();
    for (build, archive) in archives {
        systems.push_str(&system(release, build, archive)?);
    }
    let text = formula(&release.version, &release.repository, &systems);
    let path = release.file("homebrew", "llm-gateway.rb")?;
    fs::write(&path, text)?;
    Ok(path)
}

fn system(
    release: &ReleaseInfo<'_>,
    build: &ProgramBuild,
    archive: &Path,
) -> anyhow::Result<String> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let hash = sha256_hex(fs::read(archive)?);
    let block = if build.target.image == "arm64" { "on_arm" } else { "on_intel" };
    let (version, repository) = (&release.version, &release.repository);
    let mut text = String::new();
    let _infallible = write!(
        text,
        "  {block} do\n    url \"{repository}/releases/download/v{version}/{name}\"\n    \
         sha256 \"{hash}\"\n  end\n"
    );
    Ok(text)
}

fn formula(version: &str, repository: &str, systems: &str) -> String {
    format!(
        r##"class LlmGateway < Formula
  desc "{summary}"
  homepage "{repository}"
  version "{version}"
  license any_of: ["MIT", "Apache-2.0"]
  depends_on :linux
{systems}
  def install
    bin.install "bin/gateway-server"
    man1.install "gateway-server.1"
    bash_completion.install "gateway-server.bash" => "gateway-server"
  end

  service do
    run [opt_bin/"gateway-server"]
    keep_alive true
    working_dir var/"llm-gateway"
  end

  test do
    assert_match version.to_s, shell_output("#{{bin}}/gateway-server --version")
  end
end
"##,
        summary = super::SUMMARY,
    )
}

#[cfg(test)]
mod tests {
    use super::formula;

    #[test]
    fn every_block_of_the_formula_ends() {
        let text = formula("1.0.0", "https://x", "  on_arm do\n    url \"u\"\n  end\n");
        let words = |word: &str| text.split_whitespace().filter(|it| *it == word).count();
        assert_eq!(words("do") + words("def") + words("class"), words("end"), "{text}");
        assert!(text.contains("#{bin}/gateway-server"));
    }
}
