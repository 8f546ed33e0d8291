//! The paths that a file names, and the names that it brings into scope.

use super::super::is_cfg_test;
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeSet;
use syn::{
    Item, ItemMod, ItemUse, Macro, UseTree,
    visit::{self, Visit},
};

/// A name that a `use` brings into a module's scope.
#[derive(Clone, Debug)]
pub(super) struct ImportedName {
    /// The name; nothing for `*`.
    pub(super) name: Option<String>,
    /// The segments of what it stands for.
    pub(super) path: Vec<String>,
}

/// The scope of a file, and the paths that it names.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Names of items and of inline modules.
    pub(super) defined: BTreeSet<String>,
    /// The names from `use` declarations.
    pub(super) imported: Vec<ImportedName>,
    /// The paths that are named anywhere outside tests.
    pub(super) paths: BTreeSet<Vec<String>>,
}

impl References {
    /// Collects the references of a file.
    pub(super) fn of(syntax: &syn::File) -> Self {
        let mut references = Self::default();
        for item in &syntax.items {
            references.defined.extend(name_of(item));
        }
        references.visit_file(syntax);
        references
    }

    /// Adds the leaves of a `use`.
    fn add(&mut self, tree: &UseTree, before: &[String]) {
        let joined = |last: &syn::Ident| {
            let mut path = before.to_vec();
            if last != "self" || before.is_empty() {
                path.push(last.to_string());
            }
            path
        };
        match tree {
            UseTree::Path(it) => self.add(&it.tree, &joined(&it.ident)),
            UseTree::Name(it) => {
                let path = joined(&it.ident);
                self.import(path.last().cloned(), path);
            }
            UseTree::Rename(it) => self.import(Some(it.rename.to_string()), joined(&it.ident)),
            UseTree::Glob(_) => self.import(None, before.to_vec()),
            UseTree::Group(it) => it.items.iter().for_each(|tree| self.add(tree, before)),
        }
    }

    fn import(&mut self, name: Option<String>, path: Vec<String>) {
        self.paths.insert(path.clone());
        self.imported.push(ImportedName { name, path });
    }

    /// Adds the paths in the arguments of a macro, which are no syntax yet.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.paths.insert(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.paths.insert(std::mem::take(&mut path));
                    self.add_tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.paths.insert(std::mem::take(&mut path));
                }
            }
        }
        self.paths.insert(path);
    }
}

impl<'ast> Visit<'ast> for References {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.insert(path.segments.iter().map(|it| it.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.add_tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_cfg_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
}

/// The name that an item defines.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is not ours, and grows")]
fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(it) => &it.ident,
        Item::Enum(it) => &it.ident,
        Item::Fn(it) => &it.sig.ident,
        Item::Macro(it) => it.ident.as_ref()?,
        Item::Mod(it) if it.content.is_some() => &it.ident,
        Item::Static(it) => &it.ident,
        Item::Struct(it) => &it.ident,
        Item::Trait(it) => &it.ident,
        Item::Type(it) => &it.ident,
        Item::Union(it) => &it.ident,
        _ => return None,
    };
    Some(name.to_string())
}
