//! The address of Postgres, and connections to it.

use super::{errors, schema};
use crate::settings::PostgresSettings;
use gateway_core::{state::StoreError, sync};
use secrecy::ExposeSecret as _;
use std::{collections::HashMap, sync::Mutex, time::Duration};
use tokio::{sync::OnceCell, task::JoinSet, time};
use tokio_postgres::{Client, Config, Error, Statement};

/// The time after which the server ends the transaction of a gateway that has frozen, and frees its
/// locks.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Makes connections.
pub(super) struct Connector {
    config: Config,
    schema: String,
    timeout: Duration,
    /// Set once the tables are those of this version.
    migrated: OnceCell<()>,
    #[cfg(feature = "tls")]
    tls: super::tls::HandshakeFactory,
}

/// A connection, and the statements that it knows.
pub(super) struct Connection {
    pub(super) client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
    #[expect(dead_code, reason = "held so that dropping it closes the connection")]
    driver: JoinSet<()>,
}

impl Connector {
    /// Reads the settings, without connecting.
    pub(super) fn new(settings: &PostgresSettings) -> Result<Self, StoreError> {
        Ok(Self {
            config: config(settings)?,
            schema: schema_name(&settings.schema)?,
            timeout: settings.timeout,
            migrated: OnceCell::new(),
            #[cfg(feature = "tls")]
            tls: super::tls::HandshakeFactory(std::sync::Arc::new(crate::tls::client_config(
                settings.ca.as_deref(),
            )?)),
        })
    }

    /// Connects. The first connection brings the tables to the version of this program.
    pub(super) async fn connect(&self) -> Result<Connection, StoreError> {
        let connecting = async {
            let connection = self.open().await?;
            connection.client.batch_execute(&self.session_settings()).await?;
            Ok(connection)
        };
        let connected = time::timeout(self.timeout, connecting).await;
        let connection = connected.map_err(|_| errors::timed_out())?.map_err(errors::explain)?;
        let migrate = || schema::migrate(&connection.client, &self.schema);
        self.migrated.get_or_try_init(migrate).await?;
        Ok(connection)
    }

    #[cfg(feature = "tls")]
    async fn open(&self) -> Result<Connection, Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        Ok(Connection::driven(client, connection))
    }

    #[cfg(not(feature = "tls"))]
    async fn open(&self) -> Result<Connection, Error> {
        let (client, connection) = self.config.connect(tokio_postgres::NoTls).await?;
        Ok(Connection::driven(client, connection))
    }

    /// The server gives up what we no longer wait for.
    fn session_settings(&self) -> String {
        let (schema, timeout) = (&self.schema, self.timeout.as_millis());
        let pause = LONGEST_PAUSE.as_millis();
        format!(
            "SET search_path TO \"{schema}\"; SET statement_timeout TO {timeout}; \
             SET lock_timeout TO {timeout}; SET idle_in_transaction_session_timeout TO {pause}"
        )
    }
}

impl Connection {
    fn driven(
        client: Client,
        connection: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Self {
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to Postgres broke");
            }
        });
        Self { client, statements: Mutex::default(), driver }
    }

    /// Returns `sql` as a prepared statement.
    pub(super) async fn statement(&self, sql: &'static str) -> Result<Statement, Error> {
        if let Some(statement) = sync::lock(&self.statements).get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        sync::lock(&self.statements).insert(sql, statement.clone());
        Ok(statement)
    }
}

impl PostgresSettings {
    /// Checks the schema's name, which is part of statements.
    ///
    /// # Errors
    ///
    /// If it is not a name.
    pub fn validate_schema(&self) -> Result<(), StoreError> {
        schema_name(&self.schema).map(drop)
    }

    /// Checks the URL, the schema's name and the CA file, without connecting.
    ///
    /// # Errors
    ///
    /// If the URL is malformed, the schema's name is not one, or the CA file cannot be read.
    pub fn validate(&self) -> Result<(), StoreError> {
        Connector::new(self).map(drop)
    }
}

fn config(settings: &PostgresSettings) -> Result<Config, StoreError> {
    // The text of the error may hold the URL, and that the password.
    let malformed = StoreError::Invalid("malformed Postgres URL");
    let url = settings.url.expose_secret();
    if !["postgres://", "postgresql://"].into_iter().any(|scheme| url.starts_with(scheme)) {
        return Err(malformed);
    }
    // Certificates are always verified, with the host's name.
    let url = ["verify-full", "verify-ca"].into_iter().fold(url.to_owned(), |url, mode| {
        url.replace(&format!("sslmode={mode}"), "sslmode=require")
    });
    let Ok(mut config) = url.parse::<Config>() else { return Err(malformed) };
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(malformed);
    }
    if cfg!(not(feature = "tls")) && url.contains("sslmode=require") {
        return Err(StoreError::Invalid("this program is built without TLS for Postgres"));
    }
    if config.get_application_name().is_none() {
        config.application_name("llm-gateway");
    }
    config.connect_timeout(settings.timeout);
    config.tcp_user_timeout(settings.timeout * 2);
    config.keepalives_idle(Duration::from_secs(15));
    Ok(config)
}

/// Checks a schema's name, which is part of statements.
fn schema_name(name: &str) -> Result<String, StoreError> {
    let is_word = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
    let is_name = name.chars().all(is_word) && name.starts_with(|it: char| !it.is_ascii_digit());
    if !is_name || name.len() > 63 {
        return Err(StoreError::Invalid(
            "the name of a schema has letters, digits and underscores, and at most 63 of them",
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, schema: &str, valid: bool) {
        let settings =
            PostgresSettings { schema: schema.to_owned(), ..PostgresSettings::new(url.to_owned()) };
        assert_eq!(settings.validate().is_ok(), valid, "{url} {schema}");
    }

    #[test]
    fn malformed_settings_are_rejected() {
        check("postgres://u:p@h:5432/d", "llm_gateway", true);
        check("postgresql://h/d?sslmode=disable", "s", true);
        for url in ["", "h:5432", "mysql://h/d", "postgres://h:port/d", "postgres:///d"] {
            check(url, "s", false);
        }
        check("postgres://h/d?sslmode=maybe", "s", false);
        for schema in ["", "1a", "a\"b", "a b", &"x".repeat(64)] {
            check("postgres://h/d", schema, false);
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn verified_modes_of_tls_are_accepted() {
        for mode in ["require", "verify-ca", "verify-full", "prefer"] {
            check(&format!("postgres://h/d?sslmode={mode}"), "s", true);
        }
    }
}
