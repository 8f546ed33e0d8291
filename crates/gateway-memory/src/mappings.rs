//! The mappings of the process that hold the code and the constants of its program.

use std::ops::Range;

/// Parses the content of `/proc/self/maps`: the addresses of private mappings of the file `program`
/// that were never written: its code, and the constants in front of it.
///
/// Constants with addresses in them, which the loader has written, lie behind the code in a mapping
/// of their own.
pub(crate) fn unwritten_of(program: &str, maps: &str) -> Vec<Range<usize>> {
    maps.lines().filter_map(|line| unwritten_range(program, line)).collect()
}

/// Parses `start-end permissions offset device inode   path`.
fn unwritten_range(program: &str, line: &str) -> Option<Range<usize>> {
    let (addresses, rest) = line.split_once(' ')?;
    let (permissions, rest) = rest.split_once(' ')?;
    let (offset, rest) = rest.split_once(' ')?;
    let path = rest.splitn(3, ' ').nth(2)?.trim_start();
    let is_start = || offset.bytes().all(|digit| digit == b'0');
    let is_unwritten = permissions == "r-xp" || permissions == "r--p" && is_start();
    if !is_unwritten || path != program {
        return None;
    }
    let (start, end) = addresses.split_once('-')?;
    let address = |digits| usize::from_str_radix(digits, 16).ok();
    Some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::unwritten_of;

    const MAPS: &str = "\
55d0c8a00000-55d0c8c00000 r--p 00000000 fe:00 1311 /usr/bin/my gateway
55d0c8c00000-55d0c8e00000 r-xp 00200000 fe:00 1311 /usr/bin/my gateway
55d0c8e00000-55d0c8e80000 r--p 00400000 fe:00 1311 /usr/bin/my gateway
55d0c8e80000-55d0c8f00000 rw-p 00480000 fe:00 1311 /usr/bin/my gateway
7f10a0000000-7f10a0021000 rw-p 00000000 00:00 0
7f10a1000000-7f10a1100000 r-xp 00000000 fe:00 99   /usr/lib/libc.so.6
7ffc5c5f2000-7ffc5c5f4000 r-xp 00000000 00:00 0    [vdso]
";

    #[test]
    fn only_code_and_constants_of_the_program_are_found() {
        let found = unwritten_of("/usr/bin/my gateway", MAPS);
        let expected = [0x55d0_c8a0_0000..0x55d0_c8c0_0000, 0x55d0_c8c0_0000..0x55d0_c8e0_0000];
        assert_eq!(found, expected);
        assert!(unwritten_of("/usr/bin/my", MAPS).is_empty());
    }

    #[test]
    fn malformed_lines_are_ignored() {
        for line in ["", "x", "1-2", "1-2 r-xp", "zz-2 r-xp 0 0:0 1 /p", "12 r-xp 0 0:0 1 /p"] {
            assert!(unwritten_of("/p", line).is_empty(), "{line}");
        }
    }
}
