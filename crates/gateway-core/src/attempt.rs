//! Attempts of a request: targets that were tried or skipped, and the reasons.

use crate::ErrorKind;
use std::{fmt, sync::Arc, time::Duration};

/// A target that was considered and did not answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Id of the provider.
    pub provider: Arc<str>,
    /// The model, as its provider names it.
    pub model: Arc<str>,
    /// Why it did not answer.
    pub outcome: AttemptOutcome,
}

/// Why a target did not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AttemptOutcome {
    /// It was asked, and failed.
    Failed(ErrorKind),
    /// It was not asked.
    Skipped(UnavailableReason),
}

/// A reason why a target cannot take a request now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UnavailableReason {
    /// The caller may not use the model.
    NotAllowed,
    /// The provider is not set up.
    NotConfigured,
    /// The request offers tools, and the model calls none.
    NoTools,
    /// The request shows pictures, and the model sees none.
    NoVision,
    /// The request is too long for the model.
    ContextWindow {
        /// Estimated tokens of the request.
        needs: u64,
        /// Tokens of the model's context window.
        window: u64,
    },
    /// It has failed too often and is given a pause.
    CircuitOpen {
        /// Time until the circuit admits a probe.
        wait: Duration,
    },
    /// It wants fewer requests.
    CoolingDown {
        /// Time until the cooldown ends.
        wait: Duration,
    },
    /// It does not accept the gateway's credential.
    CredentialRefused {
        /// Tried again after this.
        wait: Duration,
    },
}

/// The result of a cache lookup.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheStatus {
    /// The answer was remembered, and is so old. It costs nothing.
    Hit {
        /// Age of the cached response.
        age: Duration,
    },
    /// The provider was asked; the answer may be remembered.
    Miss,
    /// The cache was passed by, for this reason.
    Bypass(&'static str),
}

/// Whether an answer may be remembered, as far as the caller and the gateway say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CacheDirective {
    /// The response is not cacheable (default).
    #[default]
    Off,
    /// The cache is bypassed; the reason is reported to the caller.
    Bypass(&'static str),
    /// It may, if the request is one that can be repeated.
    Allowed {
        /// The caller says that it can.
        wanted: bool,
        /// The caller wants an answer that is not remembered.
        refresh: bool,
    },
}

impl UnavailableReason {
    /// Returns the stable name, for metrics and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "model_not_allowed",
            Self::NotConfigured => "provider_not_configured",
            Self::NoTools => "no_tools",
            Self::NoVision => "no_vision",
            Self::ContextWindow { .. } => "context_window",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::CoolingDown { .. } => "cooling_down",
            Self::CredentialRefused { .. } => "credential_refused",
        }
    }

    /// Returns the time until the target is available again; `None` if waiting does not help.
    pub const fn wait(self) -> Option<Duration> {
        match self {
            Self::CircuitOpen { wait }
            | Self::CoolingDown { wait }
            | Self::CredentialRefused { wait } => Some(wait),
            Self::NotAllowed
            | Self::NotConfigured
            | Self::NoTools
            | Self::NoVision
            | Self::ContextWindow { .. } => None,
        }
    }
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(kind) => f.write_str(kind.as_str()),
            Self::Skipped(against) => f.write_str(against.as_str()),
        }
    }
}

impl CacheStatus {
    /// Returns the value of the `x-cache` header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit { .. } => "hit",
            Self::Miss => "miss",
            Self::Bypass(_) => "bypass",
        }
    }
}
