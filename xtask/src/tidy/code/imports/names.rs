//! The modules of a crate, and the files that their paths lead to.

use super::{super::RustFile, references::References};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of re-exports that a name is followed through.
const MAX_HOPS: u32 = 8;

/// The modules of a crate that have files of their own.
pub(super) struct ModuleTree {
    /// The path of each file's module, as in `["a", "b"]` for `src/a/b.rs`.
    modules: Vec<Vec<String>>,
    /// The file of each module.
    files: BTreeMap<Vec<String>, usize>,
    /// The names that each file uses.
    references: Vec<References>,
}

impl ModuleTree {
    /// Reads the modules of one crate.
    pub(super) fn new(files: &[&RustFile<'_>]) -> Self {
        // A program beside a library is a module of its own; one without a library is the root.
        let has_library = files.iter().any(|file| file.within == "src/lib.rs");
        let root = if has_library { "lib" } else { "main" };
        let modules: Vec<Vec<String>> =
            files.iter().map(|file| module(file.within, root)).collect();
        let by_path =
            modules.iter().enumerate().map(|(index, path)| (path.clone(), index)).collect();
        let references = files.iter().map(|file| References::of(&file.syntax)).collect();
        Self { modules, files: by_path, references }
    }

    /// Returns the files that a file imports from, other than those above and below it.
    pub(super) fn imports(&self, file: usize) -> BTreeSet<usize> {
        let (Some(module), Some(references)) = (self.modules.get(file), self.references.get(file))
        else {
            return BTreeSet::new();
        };
        let found = references.paths.iter().filter_map(|path| self.resolve(module, path, MAX_HOPS));
        found.filter(|other| !self.is_above_or_below(file, *other)).collect()
    }

    fn is_above_or_below(&self, one: usize, other: usize) -> bool {
        let (Some(one), Some(other)) = (self.modules.get(one), self.modules.get(other)) else {
            return true;
        };
        one.starts_with(other) || other.starts_with(one)
    }

    /// Returns the file that defines what a path in a module stands for; nothing for paths that
    /// lead out of the crate.
    fn resolve(&self, module: &[String], path: &[String], hops: u32) -> Option<usize> {
        let hops = hops.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(&[], rest, hops),
            "self" => self.walk(module, rest, hops),
            "super" => {
                let mut above = module.to_vec();
                above.pop()?;
                let mut rest = rest;
                while let Some((next, later)) = rest.split_first()
                    && next == "super"
                {
                    above.pop()?;
                    rest = later;
                }
                self.walk(&above, rest, hops)
            }
            _ => self.lookup(module, path, hops),
        }
    }

    /// Follows segments from a module that has a file.
    fn walk(&self, module: &[String], rest: &[String], hops: u32) -> Option<usize> {
        let file = *self.files.get(module)?;
        if rest.is_empty() {
            return Some(file);
        }
        Some(self.lookup(module, rest, hops).unwrap_or(file))
    }

    /// Looks the first segment up in the scope of a module, and follows the others from there.
    fn lookup(&self, module: &[String], path: &[String], hops: u32) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        let mut child = module.to_vec();
        child.push(first.clone());
        if self.files.contains_key(&child) {
            return self.walk(&child, rest, hops);
        }
        let file = *self.files.get(module)?;
        let references = self.references.get(file)?;
        if references.defined.contains(first) {
            return Some(file);
        }
        let named = references.imported.iter().find(|it| it.name.as_ref() == Some(first));
        if let Some(import) = named {
            let mut path = import.path.clone();
            // A name that stands for itself is a crate of others.
            if path.first() == Some(first) && path.len() == 1 {
                return None;
            }
            path.extend_from_slice(rest);
            return self.resolve(module, &path, hops);
        }
        let globs = references.imported.iter().filter(|it| it.name.is_none());
        globs.into_iter().find_map(|glob| {
            let target = self.resolve(module, &glob.path, hops)?;
            let target = self.modules.get(target).filter(|it| it.as_slice() != module)?;
            self.lookup(target, path, hops.checked_sub(1)?)
        })
    }
}

/// The path of a file's module within its crate, whose root is the file of this name.
fn module(within: &str, root: &str) -> Vec<String> {
    let path = within.strip_prefix("src/").unwrap_or(within).trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == root {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}
