//! The reasons why tools and their clients cannot be built from a configuration.

use thiserror::Error;

/// The reason why a tool cannot be built or registered.
#[derive(Debug, Error)]
pub enum ToolConfigError {
    /// Models cannot call a tool of this name.
    #[error("invalid tool name '{0}'")]
    InvalidName(String),
    /// Another tool has the name already.
    #[error("duplicate tool '{0}'")]
    DuplicateName(String),
    /// The specification describes something other than a function.
    #[error("the tool '{0}' is not a function")]
    NotAFunction(String),
    /// The schema of the arguments cannot be read.
    #[error("the schema of the tool '{tool}': {source}")]
    InvalidSchema {
        /// The name of the tool.
        tool: String,
        /// The reason.
        source: serde_json::Error,
    },
    /// A path is invalid.
    #[error("the tool '{tool}': {source}")]
    InvalidPath {
        /// The name of the tool.
        tool: String,
        /// The reason.
        source: PathTemplateError,
    },
    /// The method is not one that tools use.
    #[error("the tool '{tool}': unsupported method '{method}'")]
    UnsupportedMethod {
        /// The name of the tool.
        tool: String,
        /// The configured method.
        method: String,
    },
    /// The path takes an argument that the schema does not require.
    #[error("'{tool}': the path needs '{argument}', the schema does not")]
    OptionalPathArgument {
        /// The name of the tool.
        tool: String,
        /// The name of the argument.
        argument: String,
    },
    /// A setting names an argument that the schema does not have.
    #[error("'{tool}': the schema does not name '{argument}'")]
    UnknownArgument {
        /// The name of the tool.
        tool: String,
        /// The name of the argument.
        argument: String,
    },
    /// The service of the tool has no address.
    #[error("the tool '{tool}': the service '{service}' has no address")]
    NoAddress {
        /// The name of the tool.
        tool: String,
        /// The name of the service.
        service: String,
    },
    /// The address of a service is not a plain URL over HTTP or HTTPS.
    #[error("'{service}': invalid service URL '{url}'")]
    InvalidAddress {
        /// The name of the service.
        service: String,
        /// The configured address.
        url: String,
    },
    /// A path is configured for a tool that does not exist.
    #[error("services.paths has '{0}', which is not a tool")]
    PathWithoutTool(String),
    /// A setting that the tool needs is absent.
    #[error("needs {0}")]
    MissingSetting(&'static str),
    /// The HTTP client of the tools cannot be created.
    #[error(transparent)]
    Client(#[from] ServiceClientError),
}

/// An invalid path template, with the segment at fault.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("'{template}': '{segment}' {kind}")]
pub struct PathTemplateError {
    /// The template.
    pub template: String,
    /// The segment at fault; the whole template if it is relative.
    pub segment: String,
    /// The reason.
    pub kind: PathSegmentError,
}

/// The reason why a segment of a path template is invalid.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PathSegmentError {
    /// The path is relative.
    #[error("is not an absolute path")]
    Relative,
    /// A segment in braces is not the name of an argument.
    #[error("names no argument")]
    NoArgument,
    /// A segment has characters that a path cannot have.
    #[error("cannot be part of a path")]
    InvalidCharacter,
}

/// The reason why a client of platform services cannot be created.
#[derive(Debug, Error)]
pub enum ServiceClientError {
    /// An additional root certificate is invalid.
    #[error("a root certificate is unreadable: {0}")]
    RootCertificate(rustls::Error),
    /// TLS cannot be set up.
    #[error("no TLS: {0}")]
    Tls(rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("no HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}
