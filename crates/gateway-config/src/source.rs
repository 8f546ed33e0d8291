//! Where the configuration comes from, so that it can be read again.

use super::{Config, Environment, Problem, Problems, USUAL_FILE};
use std::{
    io,
    path::{Path, PathBuf},
};

/// A file and variables.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    /// Somebody named the file: then it has to be there.
    named: bool,
    env: Environment,
    check: Check,
}

/// Notes what of a configuration cannot be built, beside what has been noted.
pub type Check = fn(&Config, &mut Vec<Problem>);

/// A configuration, and the text of the file it was read from, if there was one.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What counts.
    pub config: Config,
    /// What the file said.
    pub text: Option<String>,
}

impl Source {
    /// The file at `path`, or the one that `LLM_GATEWAY_CONFIG` names, or `gateway.toml`; and `env`.
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

    /// The same, and what `check` notes is wrong too.
    #[must_use]
    pub fn checked_by(self, check: Check) -> Self {
        Self { check, ..self }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it, or says everything that is wrong.
    pub fn load(&self) -> Result<Loaded, Problems> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => self.parse(&text),
            Err(error) if !self.named && error.kind() == io::ErrorKind::NotFound => Ok(Loaded {
                config: Config::parse_checked(None, &self.env, self.check)?,
                text: None,
            }),
            Err(error) => {
                let name = self.path.to_string_lossy();
                let unreadable = Problem::new(name, format!("cannot be read: {error}"));
                // What the variables say may be wrong as well.
                let mut problems =
                    Config::parse_checked(None, &self.env, self.check).err().unwrap_or_default();
                problems.0.insert(0, unreadable);
                Err(problems)
            }
        }
    }

    /// What would count if the file said `text`.
    pub fn parse(&self, text: &str) -> Result<Loaded, Problems> {
        let name = self.path.to_string_lossy();
        let config = Config::parse_checked(Some((&name, text)), &self.env, self.check)?;
        Ok(Loaded { config, text: Some(text.to_owned()) })
    }

    /// A setting of a configuration that may be wrong elsewhere, as far as it can be made out.
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
