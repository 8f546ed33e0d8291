//! The system calls that unmap code and read the clock of the process.

use crate::mappings;
use rustix::mm::{Advice, madvise};
use std::{env, fs, io, ops::Range, ptr, time::Duration};

/// Unmaps the resident pages of the running program's code and constants, and returns the bytes of
/// both that the program has, resident or not. Shared libraries stay as they are.
///
/// The pages stay in the page cache: what runs again is mapped again without a read, at the price of
/// a minor page fault for each 64 KiB that run.
///
/// # Errors
///
/// If `/proc` cannot be read, or the kernel refuses.
pub fn release_code_pages() -> io::Result<usize> {
    let program = env::current_exe()?;
    let maps = fs::read_to_string("/proc/self/maps")?;
    let unwritten = mappings::unwritten_of(&program.to_string_lossy(), &maps);
    unwritten.into_iter().try_fold(0, |sum, addresses| Ok(sum + unmap(addresses)?))
}

/// Unmaps the pages at the addresses of a mapping of the program that was never written.
fn unmap(addresses: Range<usize>) -> io::Result<usize> {
    let start = ptr::with_exposed_provenance_mut(addresses.start);
    #[expect(
        unsafe_code,
        reason = "madvise has no safe form; an idle gateway holds 8 MiB instead of 20"
    )]
    // SAFETY: the range is a private mapping of the file of the running program, readable and never
    // writable, so its pages equal the file's and the kernel maps the same bytes again on the next
    // access. The mapping is the program itself, which nothing unmaps while the process runs.
    unsafe {
        madvise(start, addresses.len(), Advice::LinuxDontNeed)?;
    }
    Ok(addresses.len())
}

/// Returns the processor time that the process has used since its start, of all its threads, in steps of
/// 10 ms; zero if `/proc` cannot be read.
pub fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    Duration::from_millis(ticks(&stat).saturating_mul(TICK_MS))
}

/// The unit of times in `/proc`: 10 ms on every architecture, whatever the kernel's own tick is.
const TICK_MS: u64 = 10;

/// Sums `utime` and `stime` of `/proc/self/stat`, its 14th and 15th field. The second field is a name in
/// parentheses and may hold spaces.
fn ticks(stat: &str) -> u64 {
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::{processor_time, release_code_pages, ticks};
    use std::{fs, hint::black_box};

    /// The resident pages of files, in KiB.
    fn resident_files() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    #[test]
    fn released_pages_leave_the_resident_set_and_run_again() {
        // Text that is touched: the tests of this crate alone have little code.
        let sum: usize = (0..1000).map(|it| format!("{:?}", Some(it)).len()).sum();
        let before = resident_files();
        let code = release_code_pages().unwrap();
        assert!(code > 0);
        assert!(resident_files() < before, "{before} KiB before");
        assert_eq!((0..1000).map(|it| format!("{:?}", Some(it)).len()).sum::<usize>(), sum);
    }

    #[test]
    fn user_and_system_time_are_summed() {
        let stat = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 41 1 0 0 20 0";
        assert_eq!(ticks(stat), 42);
        assert_eq!(ticks(""), 0);
    }

    #[test]
    fn processor_time_grows_with_work() {
        let before = processor_time();
        while processor_time() == before {
            black_box(resident_files());
        }
        assert!(processor_time() > before);
    }
}
