//! The number of files, and so of connections, that the process may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The part of the files that callers may take, in percent: each may need another to an upstream.
const PERCENT: u64 = 45;

/// Assumed where the system names no limit.
const UNLIMITED: u64 = 1 << 20;

/// The number of connections callers may have. Raises the number of files to what the system grants.
pub fn max_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum;
    // Refused by some sandboxes; then the lower limit counts.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).is_ok();
    share(if raised { most } else { limit.current })
}

fn share(files: Option<u64>) -> usize {
    let connections = files.unwrap_or(UNLIMITED).min(UNLIMITED) * PERCENT / 100;
    usize::try_from(connections).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_get_less_than_half_of_the_files() {
        assert_eq!(share(Some(1024)), 460);
        assert_eq!(share(Some(0)), 1);
        assert_eq!(share(None), share(Some(u64::MAX)));
        assert!(max_connections() >= 1);
    }
}
