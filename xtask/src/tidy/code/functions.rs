//! Functions that are longer than one idea.

use super::{RustFile, is_cfg_test, is_test_function};
use crate::tidy::ratchet::Finding;
use syn::{
    ImplItemFn, ItemFn, ItemMod, TraitItemFn,
    visit::{self, Visit},
};

/// The most lines of a function, from its signature to its closing brace.
const MAX_LINES: usize = 60;

/// Returns the functions of a file that are too long; tests aside.
pub(in crate::tidy) fn long_functions(file: &RustFile<'_>) -> Vec<Finding> {
    if file.is_test() {
        return Vec::new();
    }
    let mut visitor = FunctionLengths { path: file.path, found: Vec::new() };
    visitor.visit_file(&file.syntax);
    visitor.found
}

/// The visitor that measures functions.
struct FunctionLengths<'a> {
    path: &'a str,
    found: Vec<Finding>,
}

impl FunctionLengths<'_> {
    fn measure(&mut self, name: &syn::Ident, body: &syn::Block) {
        let (first, last) = (name.span().start().line, body.brace_token.span.close().end().line);
        let lines = last + 1 - first;
        if lines > MAX_LINES {
            let what = format!("{name} has {lines} lines");
            self.found.push(Finding { path: self.path.to_owned(), line: first, what });
        }
    }
}

impl<'ast> Visit<'ast> for FunctionLengths<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test_function(&item.attrs) {
            self.measure(&item.sig.ident, &item.block);
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.measure(&item.sig.ident, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.measure(&item.sig.ident, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_cfg_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parsed;
    use super::long_functions;

    fn found(before: &str, lines: usize) -> usize {
        let text = format!("{before}fn f() {{\n{}}}\n", "x();\n".repeat(lines - 2));
        let mut found = 0;
        parsed(&[("a.rs", &text)], |files| found = long_functions(&files[0]).len());
        found
    }

    #[test]
    fn function_above_the_limit_is_found() {
        assert_eq!(found("", 60), 0);
        assert_eq!(found("", 61), 1);
    }

    #[test]
    fn tests_may_be_long() {
        assert_eq!(found("#[test]\n", 90), 0);
        assert_eq!(found("#[tokio::test]\nasync ", 90), 0);
    }

    #[test]
    fn methods_count_too() {
        let text = format!("impl X {{ fn f() {{\n{}}} }}\n", "x();\n".repeat(70));
        parsed(&[("a.rs", &text)], |files| assert_eq!(long_functions(&files[0]).len(), 1));
    }
}
