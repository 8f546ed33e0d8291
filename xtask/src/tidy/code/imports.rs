//! Files of a crate that import each other in a circle.
//!
//! A module and what lies in its folder are one idea and may know each other. Any other two files
//! that reach each other through imports are counted: neither can be read, tested or moved alone.

mod cycles;
mod names;
mod references;

use self::names::ModuleTree;
use super::RustFile;
use crate::tidy::ratchet::Finding;
use std::collections::BTreeSet;

/// Returns the files of one crate that stand in circles of imports, with the circle of each.
pub(in crate::tidy) fn import_circles(files: &[&RustFile<'_>]) -> Vec<Finding> {
    let files: Vec<&RustFile<'_>> = files.iter().copied().filter(|file| !file.is_test()).collect();
    let tree = ModuleTree::new(&files);
    let edges: Vec<BTreeSet<usize>> = (0..files.len()).map(|index| tree.imports(index)).collect();
    let name = |index: &usize| files.get(*index).map_or("", |file| file.within);
    let circles = cycles::cycles(&edges);
    let found = circles.iter().flat_map(|circle| {
        let others: Vec<&str> = circle.iter().map(name).collect();
        let what = format!("circle of {} files: {}", circle.len(), others.join(" "));
        circle.iter().filter_map(|index| files.get(*index)).map(move |file| Finding {
            path: file.path.to_owned(),
            line: 1,
            what: what.clone(),
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::parsed;
    use super::import_circles;

    fn files_in_circles(files: &[(&str, &str)]) -> Vec<String> {
        let mut found = Vec::new();
        parsed(files, |files| {
            let files: Vec<_> = files.iter().collect();
            found = import_circles(&files).into_iter().map(|finding| finding.path).collect();
        });
        found.iter().map(|path| path.trim_start_matches("crates/x/src/").to_owned()).collect()
    }

    #[test]
    fn siblings_that_import_each_other_are_a_circle() {
        let found = files_in_circles(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "pub struct B; fn f() -> crate::a::A { crate::a::A }"),
            ("c.rs", "use crate::{a::A, b::B};"),
        ]);
        assert_eq!(found, ["a.rs", "b.rs"]);
    }

    #[test]
    fn module_and_its_folder_are_no_circle() {
        let found = files_in_circles(&[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod b; use b::B; pub struct A;"),
            ("a/b.rs", "use super::A; pub struct B;"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn re_export_leads_to_the_defining_file() {
        let found = files_in_circles(&[
            ("lib.rs", "mod a; mod b; pub use a::A; pub use self::b::*;"),
            ("a.rs", "use crate::B; pub struct A;"),
            ("b.rs", "use crate::A; pub struct B;"),
        ]);
        assert_eq!(found, ["a.rs", "b.rs"]);
    }

    #[test]
    fn macro_arguments_are_searched() {
        let found = files_in_circles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "fn f() { matches!(x, crate::b::B) } pub struct A;"),
            ("b.rs", "use super::a::{self}; pub struct B;"),
        ]);
        assert_eq!(found, ["a.rs", "b.rs"]);
    }

    #[test]
    fn imports_of_tests_do_not_count() {
        let found = files_in_circles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
