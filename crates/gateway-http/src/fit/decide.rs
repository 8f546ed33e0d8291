//! What is done about a conversation, by how full it makes its model's window.

/// What the caller wants done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// What seems best.
    Auto,
    /// This, however full the window is.
    Always(Action),
}

/// What is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Action {
    /// Nothing.
    Nothing,
    /// The tokens are counted exactly.
    Count,
    /// Long texts are shortened.
    Shorten,
    /// Long texts are shortened piece by piece.
    ShortenInPieces,
}

/// How full a window is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Facts {
    /// The service was asked, and answered.
    pub(super) routed: bool,
    /// What the model is to read.
    pub(super) tokens: u64,
    /// What it can read and write in all.
    pub(super) window: u64,
}

/// From this tier on a conversation is not sent without having been shortened.
pub(super) const CROWDED: u8 = 3;

impl Mode {
    /// The mode called `name`; what is no mode's name is none to insist on.
    pub(super) fn parse(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "none" => Self::Always(Action::Nothing),
            "validate" => Self::Always(Action::Count),
            "optimize" => Self::Always(Action::Shorten),
            "plan" => Self::Always(Action::ShortenInPieces),
            _ => Self::Auto,
        }
    }

    pub(super) const fn action(self, tier: u8) -> Action {
        match (self, tier) {
            (Self::Always(action), _) => action,
            (Self::Auto, ..=1) => Action::Nothing,
            (Self::Auto, 2) => Action::Count,
            (Self::Auto, 3) => Action::Shorten,
            (Self::Auto, 4..) => Action::ShortenInPieces,
        }
    }
}

impl Facts {
    pub(super) const fn new(tokens: u64, window: u64) -> Self {
        Self { routed: false, tokens, window }
    }

    /// From 1, less than a quarter, to 4, three quarters or more.
    pub(super) fn tier(self) -> u8 {
        let quarters = u128::from(self.tokens) * 4;
        let full = (1..=3).filter(|quarter| quarters >= u128::from(self.window) * quarter);
        u8::try_from(full.count()).map_or(4, |full| full + 1)
    }

    /// How much of the window is left, in percent.
    pub(super) fn headroom(self) -> u64 {
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
        let facts = Facts::new(tokens, window);
        assert_eq!((facts.tier(), facts.headroom()), (tier, headroom));
    }

    #[test]
    fn a_quarter_of_the_window_is_a_tier() {
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
    fn check_action(mode: &str, tier: u8, expected: Action) {
        assert_eq!(Mode::parse(mode).action(tier), expected, "{mode} {tier}");
    }

    #[test]
    fn the_tier_decides_unless_the_caller_does() {
        for mode in ["", "auto", "AUTO ", "whatever"] {
            check_action(mode, 1, Action::Nothing);
            check_action(mode, 2, Action::Count);
            check_action(mode, 3, Action::Shorten);
            check_action(mode, 4, Action::ShortenInPieces);
        }
        for tier in 1..=4 {
            check_action("none", tier, Action::Nothing);
            check_action(" Validate", tier, Action::Count);
            check_action("optimize", tier, Action::Shorten);
            check_action("plan", tier, Action::ShortenInPieces);
        }
    }
}
