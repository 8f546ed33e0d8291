//! Declares a section of the configuration once: its struct, its defaults, how it is read, how it
//! is shown, and its rows of the documentation.

use super::{
    node::{Content, Node, Table},
    problem::Problem,
    value::Value,
};
use std::ops::RangeInclusive;

/// What the documentation says of a setting.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// The last part of its key.
    pub(super) name: &'static str,
    /// Short names of its variable, which need the prefix `LLM_GATEWAY_`.
    pub(super) prefixed: &'static [&'static str],
    /// Short names of its variable, which count with and without the prefix.
    pub(super) bare: &'static [&'static str],
    /// What to write.
    pub(super) expects: String,
    /// What counts if nothing is written, as TOML.
    pub(super) default: Option<String>,
    /// What it does.
    pub(super) meaning: Vec<&'static str>,
}

/// A table of settings.
pub(super) trait Section: Sized {
    /// What the section is for.
    fn about() -> Vec<&'static str>;

    /// Its settings.
    fn fields() -> Vec<Field>;

    /// Reads it; what is wrong is noted, and the default taken instead.
    fn read(reader: &mut Reader<'_>) -> Self;

    /// Its settings as TOML, secrets hidden.
    fn show(&self) -> Vec<Shown>;
}

/// A setting as it is shown.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The last part of its key.
    pub(super) name: String,
    /// Its value as TOML, secrets hidden.
    pub(super) value: Option<String>,
    /// Differs if the value does. Never shown.
    pub(super) mark: Option<String>,
}

impl Shown {
    /// A setting without secrets.
    pub(super) fn plain(name: impl Into<String>, value: Option<String>) -> Self {
        Self { name: name.into(), mark: value.clone(), value }
    }
}

/// Reads the settings of one table.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    path: String,
    table: Option<&'a Table>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Reads `S` at `path`.
    pub(super) fn read<S: Section>(
        path: String,
        node: Option<&'a Node>,
        problems: &'a mut Vec<Problem>,
    ) -> S {
        let table = match node.map(|node| (&node.content, node)) {
            Some((Content::Table(table), _)) => Some(table),
            Some((_, node)) => {
                let message = format!("expected a table, found {}", node.kind());
                problems.push(Problem::new(&path, message).source(node.source.clone()));
                None
            }
            None => None,
        };
        let mut reader = Reader { path, table, problems };
        let section = S::read(&mut reader);
        reader.refuse_unknown(&S::fields());
        section
    }

    /// A setting, or its default.
    pub(super) fn field<T: Value>(&mut self, name: &str, default: T) -> T {
        let Some(node) = self.table.and_then(|table| table.get(name)) else { return default };
        if node.text().is_some_and(str::is_empty) {
            return default;
        }
        T::read(node).unwrap_or_else(|| {
            self.refuse(name, node, &T::expects());
            default
        })
    }

    /// A setting within a range, or its default.
    pub(super) fn within<T: Value + PartialOrd>(
        &mut self,
        name: &str,
        default: T,
        range: &RangeInclusive<T>,
    ) -> T {
        let Some(node) = self.table.and_then(|table| table.get(name)) else { return default };
        if node.text().is_some_and(str::is_empty) {
            return default;
        }
        T::read(node).filter(|value| range.contains(value)).unwrap_or_else(|| {
            self.refuse(name, node, &expects_within(range));
            default
        })
    }

    fn refuse(&mut self, name: &str, node: &Node, expected: &str) {
        let message = format!("expected {expected}; found {}", node.kind());
        let problem = Problem::new(format!("{}.{name}", self.path), message);
        self.problems.push(problem.source(node.source.clone()));
    }

    fn refuse_unknown(self, fields: &[Field]) {
        for (key, node) in self.table.into_iter().flatten() {
            if fields.iter().all(|field| field.name != key) {
                let key: String = key.chars().take(64).flat_map(char::escape_debug).collect();
                let problem = Problem::new(format!("{}.{key}", self.path), "no such setting");
                self.problems.push(problem.source(node.source.clone()));
            }
        }
    }
}

/// What to write for a setting within a range.
pub(super) fn expects_within<T: Value>(range: &RangeInclusive<T>) -> String {
    let shown = |value: &T| value.show().unwrap_or_default().replace('"', "`");
    format!("{}, from {} to {}", T::expects(), shown(range.start()), shown(range.end()))
}

/// Declares sections: see the module.
macro_rules! section {
    (@read $reader:ident $field:ident $default:expr) => {
        $reader.field(stringify!($field), $default)
    };
    (@read $reader:ident $field:ident $default:expr, $range:expr) => {
        $reader.within(stringify!($field), $default, &$range)
    };
    (@expects $type:ty) => { <$type as $crate::value::Value>::expects() };
    (@expects $type:ty, $range:expr) => { $crate::section::expects_within::<$type>(&$range) };
    (@names) => { &[] };
    (@names $names:expr) => { &$names };
    (
        $(#[doc = $about:literal])+
        $vis:vis $name:ident {
            $(
                $(#[doc = $meaning:literal])+
                $field:ident: $type:ty = $default:expr
                    $(, within $range:expr)?
                    $(, prefixed $prefixed:expr)?
                    $(, bare $bare:expr)?;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        $vis struct $name {
            $( $(#[doc = $meaning])+ $vis $field: $type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        impl $crate::section::Section for $name {
            fn about() -> Vec<&'static str> {
                vec![$($about.trim_ascii()),+]
            }

            fn fields() -> Vec<$crate::section::Field> {
                use $crate::{section::Field, value::Value};
                vec![$( Field {
                    name: stringify!($field),
                    prefixed: section!(@names $($prefixed)?),
                    bare: section!(@names $($bare)?),
                    expects: section!(@expects $type $(, $range)?),
                    default: { let default: $type = $default; default.show() },
                    meaning: vec![$($meaning.trim_ascii()),+],
                }, )+]
            }

            fn read(reader: &mut $crate::section::Reader<'_>) -> Self {
                Self { $( $field: section!(@read reader $field $default $(, $range)?), )+ }
            }

            fn show(&self) -> Vec<$crate::section::Shown> {
                use $crate::{section::Shown, value::Value};
                vec![$( Shown {
                    name: stringify!($field).to_owned(),
                    value: self.$field.show(),
                    mark: self.$field.mark(),
                }, )+]
            }
        }
    };
}
pub(super) use section;
