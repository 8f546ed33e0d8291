//! How the process takes up a new configuration.

use super::section::section;

section! {
    /// How the gateway takes up a new configuration, and with which it starts.
    pub Lifecycle {
        /// Whether the file is looked at every second and read anew when it has changed.
        /// A `SIGHUP` has it read in any case.
        watch: bool = true, prefixed ["WATCH_CONFIG"];
        /// Whether the gateway starts with the configuration that last counted if the present one cannot be read, or has mistakes.
        /// It says so in its log and in `/health/detailed`, and takes up the file once that is well.
        start_from_last_good: bool = false, prefixed ["START_FROM_LAST_GOOD"];
    }
}
