//! The reload of the configuration.

use super::section::section;

section! {
    /// Reload of the configuration.
    pub LifecycleSection {
        /// Whether the file is checked every second and reloaded when it changed.
        /// `SIGHUP` always reloads it.
        watch: bool = true, prefixed ["WATCH_CONFIG"];
        /// Whether the gateway starts with the last known good configuration if the present one is invalid.
        /// The log reports it, and a valid file is loaded as soon as it is there.
        start_from_last_good: bool = false, prefixed ["START_FROM_LAST_GOOD"];
    }
}
