//! What was decided on the way to an answer, and why.

use crate::{DroppedParams, ErrorKind, GatewayError, Target};
use std::{fmt, sync::Arc, time::Duration};

/// A target that was considered and did not answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The provider.
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

/// What speaks against asking a target.
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
        /// So many tokens, roughly.
        needs: u64,
        /// Of so many.
        window: u64,
    },
    /// It has failed too often and is given a pause.
    CircuitOpen {
        /// For so long.
        wait: Duration,
    },
    /// It wants fewer requests.
    CoolingDown {
        /// For so long.
        wait: Duration,
    },
    /// It does not accept the gateway's credential.
    CredentialRefused {
        /// Tried again after this.
        wait: Duration,
    },
}

/// What asking a target would come to.
#[derive(Debug)]
pub struct PlannedAttempt {
    /// The provider.
    pub provider: Arc<str>,
    /// The model.
    pub target: Target,
    /// Which of the provider's credentials, counted from 1, if there are several.
    pub credential: Option<usize>,
    /// Why it would not be asked.
    pub unavailable: Option<UnavailableReason>,
    /// What the translation would leave behind; an error if it cannot be made.
    pub dropped: Result<DroppedParams, GatewayError>,
    /// What a cache would do.
    pub cache: Option<Cached>,
}

/// What a cache did with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cached {
    /// The answer was remembered, and is so old. It costs nothing.
    Hit {
        /// How old.
        age: Duration,
    },
    /// The provider was asked; the answer may be remembered.
    Miss,
    /// The cache was passed by, for this reason.
    Bypass(&'static str),
}

/// Whether an answer may be remembered, as far as the caller and the gateway say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Caching {
    /// Nobody said: it is not.
    #[default]
    Off,
    /// It may not, for this reason, which the caller is told.
    Bypass(&'static str),
    /// It may, if the request is one that can be repeated.
    Allowed {
        /// The caller says that it can.
        wanted: bool,
        /// The caller wants an answer that is not remembered.
        anew: bool,
    },
}

impl UnavailableReason {
    /// The stable name.
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

    /// How long it will go on to speak against it, if time cures it.
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

impl Cached {
    /// What `x-cache` says.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit { .. } => "hit",
            Self::Miss => "miss",
            Self::Bypass(_) => "bypass",
        }
    }
}
