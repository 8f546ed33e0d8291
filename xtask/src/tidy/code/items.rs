//! The names of types and of tests.

use super::{RustFile, is_cfg_test, is_test_function};
use syn::{
    Attribute, Ident, Item, ItemFn,
    visit::{self, Visit},
};

/// A type that a file defines.
pub(in crate::tidy) struct TypeName {
    /// The item's name.
    pub(in crate::tidy) name: String,
    /// The line of the definition.
    pub(in crate::tidy) line: usize,
}

/// Returns the types that a file defines at its top level; those of tests aside.
pub(in crate::tidy) fn type_names(file: &RustFile<'_>) -> Vec<TypeName> {
    if file.is_test() {
        return Vec::new();
    }
    let types = file.syntax.items.iter().filter_map(type_item);
    types
        .filter(|(_, attributes)| !is_cfg_test(attributes))
        .map(|(name, _)| TypeName { name: name.to_string(), line: name.span().start().line })
        .collect()
}

/// Returns the name and the attributes of an item that is a type.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is not ours, and grows")]
fn type_item(item: &Item) -> Option<(&Ident, &[Attribute])> {
    match item {
        Item::Struct(it) => Some((&it.ident, &it.attrs)),
        Item::Enum(it) => Some((&it.ident, &it.attrs)),
        Item::Trait(it) => Some((&it.ident, &it.attrs)),
        Item::Type(it) => Some((&it.ident, &it.attrs)),
        Item::Union(it) => Some((&it.ident, &it.attrs)),
        _ => None,
    }
}

/// Returns the names of the tests in a file, and the lines where they begin.
pub(in crate::tidy) fn test_names(file: &RustFile<'_>) -> Vec<(String, usize)> {
    let mut visitor = TestNames(Vec::new());
    visitor.visit_file(&file.syntax);
    visitor.0
}

/// The visitor that collects tests.
struct TestNames(Vec<(String, usize)>);

impl<'ast> Visit<'ast> for TestNames {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if is_test_function(&item.attrs) {
            self.0.push((item.sig.ident.to_string(), item.sig.ident.span().start().line));
        }
        visit::visit_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parsed;
    use super::{test_names, type_names};

    const TEXT: &str = "pub struct A;\nenum B {}\ntrait C {}\n#[cfg(test)]\nstruct D;\nfn e() {}\n\
                        #[cfg(test)]\nmod tests {\n    struct F;\n    #[test]\n    fn g() {}\n}\n";

    #[test]
    fn types_outside_tests_are_named() {
        parsed(&[("a.rs", TEXT)], |files| {
            let names: Vec<_> =
                type_names(&files[0]).into_iter().map(|it| (it.name, it.line)).collect();
            assert_eq!(names, [("A".into(), 1), ("B".into(), 2), ("C".into(), 3)]);
        });
    }

    #[test]
    fn tests_are_named_with_their_line() {
        parsed(&[("a.rs", TEXT)], |files| {
            assert_eq!(test_names(&files[0]), [("g".to_owned(), 11)]);
        });
    }
}
