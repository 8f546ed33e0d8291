//! The action for a long conversation, by the fill level of the model's context window.

/// The caller's preference for a long conversation.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ContextMode {
    /// By the fill level of the context window.
    #[default]
    Auto,
    /// This action, however full the window is.
    Always(FitAction),
}

/// The action taken on a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FitAction {
    /// The conversation is sent unchanged.
    Nothing,
    /// The tokens are counted exactly.
    Count,
    /// Long texts are shortened.
    Shorten,
    /// Long texts are shortened piece by piece.
    ShortenInPieces,
}

/// The fill level of a model's context window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContextFit {
    /// Whether the context service was called, and responded.
    pub routed: bool,
    /// The tokens that the model reads.
    pub tokens: u64,
    /// The tokens that it can read and write in all.
    pub window: u64,
}

/// From this tier on a conversation is not sent without having been shortened.
pub(super) const CROWDED: u8 = 3;

impl ContextMode {
    /// The mode called `name`; `Auto` if there is no such mode.
    pub fn parse(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "none" => Self::Always(FitAction::Nothing),
            "validate" => Self::Always(FitAction::Count),
            "optimize" => Self::Always(FitAction::Shorten),
            "plan" => Self::Always(FitAction::ShortenInPieces),
            _ => Self::Auto,
        }
    }

    pub(super) const fn action(self, tier: u8) -> FitAction {
        match (self, tier) {
            (Self::Always(action), _) => action,
            (Self::Auto, ..=1) => FitAction::Nothing,
            (Self::Auto, 2) => FitAction::Count,
            (Self::Auto, 3) => FitAction::Shorten,
            (Self::Auto, 4..) => FitAction::ShortenInPieces,
        }
    }
}

impl ContextFit {
    pub(super) const fn new(tokens: u64, window: u64) -> Self {
        Self { routed: false, tokens, window }
    }

    /// The fill level from 1, less than a quarter, to 4, three quarters or more.
    pub fn tier(self) -> u8 {
        let quarters = u128::from(self.tokens) * 4;
        let full = (1..=3).filter(|quarter| quarters >= u128::from(self.window) * quarter);
        u8::try_from(full.count()).map_or(4, |full| full + 1)
    }

    /// The free part of the window, in percent.
    pub fn headroom(self) -> u64 {
        let left = u128::from(self.window.saturating_sub(self.tokens)) * 100;
        let percent = left.checked_div(u128::from(self.window)).unwrap_or_default();
        u64::try_from(percent).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tokens: u64, window: u64, tier: u8, headroom: u64) {
        let facts = ContextFit::new(tokens, window);
        assert_eq!((facts.tier(), facts.headroom()), (tier, headroom));
    }

    #[test]
    fn each_quarter_of_the_window_is_a_tier() {
        check(0, 1000, 1, 100);
        check(249, 1000, 1, 75);
        check(250, 1000, 2, 75);
        check(499, 1000, 2, 50);
        check(500, 1000, 3, 50);
        check(749, 1000, 3, 25);
        check(750, 1000, 4, 25);
        check(5000, 1000, 4, 0);
        check(u64::MAX, u64::MAX, 4, 0);
        check(0, 0, 4, 0);
    }

    #[track_caller]
    fn check_action(mode: &str, tier: u8, expected: FitAction) {
        assert_eq!(ContextMode::parse(mode).action(tier), expected, "{mode} {tier}");
    }

    #[test]
    fn caller_mode_overrides_tier() {
        for mode in ["", "auto", "AUTO ", "whatever"] {
            check_action(mode, 1, FitAction::Nothing);
            check_action(mode, 2, FitAction::Count);
            check_action(mode, 3, FitAction::Shorten);
            check_action(mode, 4, FitAction::ShortenInPieces);
        }
        for tier in 1..=4 {
            check_action("none", tier, FitAction::Nothing);
            check_action(" Validate", tier, FitAction::Count);
            check_action("optimize", tier, FitAction::Shorten);
            check_action("plan", tier, FitAction::ShortenInPieces);
        }
    }
}
