//! The source of the configuration, for the start and for reloads.

use super::{Config, ConfigError, ConfigErrors, Environment, USUAL_FILE};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The file and the environment variables.
#[derive(Clone, Debug)]
pub struct ConfigSource {
    path: PathBuf,
    /// Whether the file is named explicitly and must exist.
    named: bool,
    env: Environment,
    check: ConfigCheck,
}

/// A check that reports what cannot be built, given the errors found so far.
pub type ConfigCheck = fn(&Config, &mut Vec<ConfigError>);

/// A configuration and the text of its file, if there is one.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The checked configuration itself.
    pub config: Config,
    /// The text of the file.
    pub text: Option<String>,
}

impl ConfigSource {
    /// Creates a source of `env` and the file at `path`, or the one that `LLM_GATEWAY_CONFIG` names, or
    /// `gateway.toml`.
    pub fn new(path: Option<&Path>, env: Environment) -> Self {
        let named =
            path.map(Path::to_owned).or_else(|| env.get("LLM_GATEWAY_CONFIG").map(PathBuf::from));
        Self {
            named: named.is_some(),
            path: named.unwrap_or_else(|| USUAL_FILE.into()),
            env,
            check: |_, _| {},
        }
    }

    /// Adds a check that every configuration must pass.
    #[must_use]
    pub fn checked_by(self, check: ConfigCheck) -> Self {
        Self { check, ..self }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and checks the configuration.
    pub fn load(&self) -> Result<LoadedConfig, ConfigErrors> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => self.parse(&text),
            Err(error) if !self.named && error.kind() == io::ErrorKind::NotFound => {
                Ok(LoadedConfig {
                    config: Config::parse_checked(None, &self.env, self.check)?,
                    text: None,
                })
            }
            Err(error) => {
                let name = self.path.to_string_lossy();
                let unreadable = ConfigError::new(name, format!("cannot be read: {error}"));
                // What the variables say may be wrong as well.
                let mut errors =
                    Config::parse_checked(None, &self.env, self.check).err().unwrap_or_default();
                errors.0.insert(0, unreadable);
                Err(errors)
            }
        }
    }

    /// Parses `text` in place of the file.
    pub fn parse(&self, text: &str) -> Result<LoadedConfig, ConfigErrors> {
        let name = self.path.to_string_lossy();
        let config = Config::parse_checked(Some((&name, text)), &self.env, self.check)?;
        Ok(LoadedConfig { config, text: Some(text.to_owned()) })
    }

    /// Returns a setting of a configuration that may be invalid elsewhere.
    pub fn glimpse(&self, section: &str, name: &str, variables: &[&str]) -> Option<String> {
        let set = variables.iter().find_map(|variable| self.env.get(variable));
        if let Some(value) = set {
            return Some(value.to_owned());
        }
        let text = std::fs::read_to_string(&self.path).ok()?;
        let table: toml::Table = toml::from_str(&text).ok()?;
        let value = table.get(section)?.get(name)?;
        value.as_str().map(str::to_owned).or_else(|| Some(value.to_string()))
    }
}
