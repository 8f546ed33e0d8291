//! The container image, as an OCI image layout, made without an engine: an index of all systems, and for
//! each its image, with its SBOM and its provenance as artifacts that refer to it.

use super::{
    build::{ProgramBuild, ReleaseInfo},
    digest::sha256_hex,
    provenance,
    tarball::{FileOwner, GATEWAY_ID, TarArchive, gzip},
    with_member,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(super) const PROGRAM: &str = "/usr/local/bin/gateway-server";
/// The environment of the image, as in the Dockerfile.
const ENVIRONMENT: &[&str] = &[
    "LLM_GATEWAY_HOST=0.0.0.0",
    "LLM_GATEWAY_PORT=8080",
    "LLM_GATEWAY_ENV=production",
    "LLM_GATEWAY_DATA_DIR=/data",
];
const SECOND: u64 = 1_000_000_000;

/// Writes the layout; returns its folder.
pub(super) fn write(release: &ReleaseInfo<'_>, builds: &[ProgramBuild]) -> anyhow::Result<PathBuf> {
    let layout = ImageLayout { blobs: release.file("oci/blobs", "sha256")? };
    fs::create_dir_all(&layout.blobs)?;
    let folder = release.file("oci", "")?;
    let mut images = Vec::new();
    let mut artifacts = Vec::new();
    for build in builds {
        let image = layout.image(release, build)?;
        artifacts.push(layout.artifact(&image, "application/vnd.cyclonedx+json", &build.sbom)?);
        let digest = image.get("digest").and_then(Value::as_str).unwrap_or_default();
        let subject = (format!("llm-gateway/{}", build.target.image), digest.to_owned());
        let statement = provenance::statement(release, &[subject])?;
        artifacts.push(layout.artifact(&image, provenance::MEDIA_TYPE, &statement)?);
        let platform = json!({ "architecture": build.target.image, "os": "linux" });
        images.push(with_member(image, "platform", platform));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": images });
    let name = json!({ "org.opencontainers.image.ref.name": release.version });
    let top = with_member(layout.add(INDEX, index.to_string().as_bytes())?, "annotations", name);
    let manifests: Vec<Value> = std::iter::once(top).chain(artifacts).collect();
    let top = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    fs::write(folder.join("index.json"), top.to_string())?;
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(folder)
}

struct ImageLayout {
    blobs: PathBuf,
}

impl ImageLayout {
    /// Adds a blob; returns its descriptor.
    fn add(&self, media_type: &str, bytes: &[u8]) -> anyhow::Result<Value> {
        let hash = sha256_hex(bytes);
        fs::write(self.blobs.join(&hash), bytes)?;
        let digest = format!("sha256:{hash}");
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }))
    }

    fn image(&self, release: &ReleaseInfo<'_>, build: &ProgramBuild) -> anyhow::Result<Value> {
        let layer = layer(release.time, &build.program)?;
        let content = format!("sha256:{}", sha256_hex(&layer));
        let layer = self.add(LAYER, &gzip(&layer)?)?;
        let about = config(release, build, &content);
        let config = self.add(CONFIG, about.to_string().as_bytes())?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
            "annotations": labels(release),
        });
        self.add(MANIFEST, manifest.to_string().as_bytes())
    }

    /// Adds a document about an image.
    fn artifact(&self, image: &Value, kind: &str, document: &str) -> anyhow::Result<Value> {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
            "config": self.add(EMPTY, b"{}")?,
            "layers": [self.add(kind, document.as_bytes())?],
            "subject": image,
        });
        let descriptor = self.add(MANIFEST, manifest.to_string().as_bytes())?;
        Ok(with_member(descriptor, "artifactType", kind.into()))
    }
}

/// The one layer: the program, and two folders that it may write to.
fn layer(time: u64, program: &Path) -> anyhow::Result<Vec<u8>> {
    let mut tarball = TarArchive::new(time);
    for folder in ["usr", "usr/local", "usr/local/bin"] {
        tarball.folder(folder, 0o755, FileOwner::Root)?;
    }
    tarball.file(PROGRAM.trim_start_matches('/'), 0o755, &fs::read(program)?)?;
    tarball.folder("data", 0o750, FileOwner::Gateway)?;
    tarball.folder("tmp", 0o750, FileOwner::Gateway)?;
    Ok(tarball.finish())
}

fn config(release: &ReleaseInfo<'_>, build: &ProgramBuild, content: &str) -> Value {
    json!({
        "architecture": build.target.image,
        "os": "linux",
        "config": {
            "User": format!("{GATEWAY_ID}:{GATEWAY_ID}"),
            "ExposedPorts": { "8080/tcp": {} },
            "Env": ENVIRONMENT,
            "Entrypoint": [PROGRAM],
            "Volumes": { "/data": {} },
            "WorkingDir": "/data",
            "StopSignal": "SIGTERM",
            "Labels": labels(release),
            // Of Docker's form, which engines read here too.
            "Healthcheck": {
                "Test": ["CMD", PROGRAM, "healthcheck"],
                "Interval": 30 * SECOND, "Timeout": 10 * SECOND, "StartPeriod": 5 * SECOND,
                "Retries": 3,
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [content] },
    })
}

fn labels(release: &ReleaseInfo<'_>) -> Value {
    json!({
        "org.opencontainers.image.title": "llm-gateway",
        "org.opencontainers.image.description": super::SUMMARY,
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.revision": release.commit,
        "org.opencontainers.image.source": release.repository,
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
    })
}

#[cfg(test)]
mod tests {
    use super::{ENVIRONMENT, GATEWAY_ID, PROGRAM};

    const DOCKERFILE: &str = include_str!("../../../deploy/docker/Dockerfile");

    /// One image, however it is made.
    #[test]
    fn image_has_the_settings_of_the_dockerfile() {
        let expected = [
            format!("USER {GATEWAY_ID}:{GATEWAY_ID}"),
            format!("ENTRYPOINT [\"{PROGRAM}\"]"),
            format!("CMD [\"{PROGRAM}\", \"healthcheck\"]"),
            "--interval=30s --timeout=10s --start-period=5s --retries=3".to_owned(),
            "STOPSIGNAL SIGTERM".to_owned(),
            "VOLUME [\"/data\"]".to_owned(),
            "WORKDIR /data".to_owned(),
            "EXPOSE 8080".to_owned(),
        ];
        let variables = ENVIRONMENT.iter().map(|it| (*it).to_owned());
        let last = DOCKERFILE.rsplit("FROM scratch").next().unwrap();
        for line in expected.into_iter().chain(variables) {
            assert!(last.contains(&line), "{line}");
        }
        assert_eq!(last.matches("LLM_GATEWAY_").count(), ENVIRONMENT.len());
    }
}
