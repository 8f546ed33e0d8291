//! The mappings of the process that hold the code of its program.

use std::ops::Range;

/// Parses the content of `/proc/self/maps`: the addresses of private mappings of the file `program`
/// that can be run and not written.
pub(crate) fn code_of(program: &str, maps: &str) -> Vec<Range<usize>> {
    maps.lines().filter_map(|line| code(program, line)).collect()
}

/// Parses `start-end permissions offset device inode   path`.
fn code(program: &str, line: &str) -> Option<Range<usize>> {
    let (addresses, rest) = line.split_once(' ')?;
    let (permissions, rest) = rest.split_once(' ')?;
    let path = rest.splitn(4, ' ').nth(3)?.trim_start();
    if permissions != "r-xp" || path != program {
        return None;
    }
    let (start, end) = addresses.split_once('-')?;
    let address = |digits| usize::from_str_radix(digits, 16).ok();
    Some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::code_of;

    const MAPS: &str = "\
55d0c8a00000-55d0c8c00000 r--p 00000000 fe:00 1311 /usr/bin/my gateway
55d0c8c00000-55d0c8e00000 r-xp 00200000 fe:00 1311 /usr/bin/my gateway
55d0c8e00000-55d0c8f00000 rw-p 00400000 fe:00 1311 /usr/bin/my gateway
7f10a0000000-7f10a0021000 rw-p 00000000 00:00 0
7f10a1000000-7f10a1100000 r-xp 00000000 fe:00 99   /usr/lib/libc.so.6
7ffc5c5f2000-7ffc5c5f4000 r-xp 00000000 00:00 0    [vdso]
";

    #[test]
    fn only_code_of_the_program_is_found() {
        let code = code_of("/usr/bin/my gateway", MAPS);
        assert!(code.iter().eq([&(0x55d0_c8c0_0000..0x55d0_c8e0_0000)]), "{code:?}");
        assert!(code_of("/usr/bin/my", MAPS).is_empty());
    }

    #[test]
    fn malformed_lines_are_ignored() {
        for line in ["", "x", "1-2", "1-2 r-xp", "zz-2 r-xp 0 0:0 1 /p", "12 r-xp 0 0:0 1 /p"] {
            assert!(code_of("/p", line).is_empty(), "{line}");
        }
    }
}
