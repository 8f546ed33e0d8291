//! Declares a section of the configuration once: its struct, its defaults, how it is read, how it
//! is shown, and its rows of the documentation.

use super::{
    environment::nested,
    error::ConfigError,
    printable::printable,
    raw_value::{ConfigValue, Table, ValueKind, ValueSource},
    suggestion::did_you_mean,
    value::SettingType,
};
use std::ops::RangeInclusive;

/// The documentation of a setting.
#[derive(Clone, Debug)]
pub(super) struct SettingDescription {
    /// The last part of the key.
    pub(super) name: &'static str,
    /// Short variable names that need the prefix `LLM_GATEWAY_`.
    pub(super) prefixed: &'static [&'static str],
    /// Short variable names that work with and without the prefix.
    pub(super) bare: &'static [&'static str],
    /// The description of valid values.
    pub(super) expects: String,
    /// The default as TOML.
    pub(super) default: Option<String>,
    /// The description, sentence by sentence.
    pub(super) meaning: Vec<&'static str>,
}

/// A table of settings.
pub(super) trait Section: Sized {
    /// Returns the description of the section.
    fn about() -> Vec<&'static str>;

    /// Returns the settings of the section.
    fn fields() -> Vec<SettingDescription>;

    /// Reads the section; wrong settings are reported and replaced by their defaults.
    fn read(reader: &mut SectionReader<'_>) -> Self;

    /// Returns the settings for display.
    fn show(&self) -> Vec<DisplayedSetting>;
}

/// A setting for display.
#[derive(Clone, Debug)]
pub(super) struct DisplayedSetting {
    /// The last part of the key.
    pub(super) name: String,
    /// The value as TOML, secrets hidden.
    pub(super) value: Option<String>,
    /// A text that differs if the value does. Never displayed.
    pub(super) fingerprint: Option<String>,
}

impl DisplayedSetting {
    /// Creates a setting without secrets.
    pub(super) fn plain(name: impl Into<String>, value: Option<String>) -> Self {
        Self { name: name.into(), fingerprint: value.clone(), value }
    }
}

/// A reader of the settings of one table.
#[derive(Debug)]
pub(super) struct SectionReader<'a> {
    path: String,
    table: Option<&'a Table>,
    errors: &'a mut Vec<ConfigError>,
}

impl<'a> SectionReader<'a> {
    /// Reads the section `S` at `path`.
    pub(super) fn read<S: Section>(
        path: String,
        node: Option<&'a ConfigValue>,
        errors: &'a mut Vec<ConfigError>,
    ) -> S {
        let table = match node.map(|node| (&node.content, node)) {
            Some((ValueKind::Table(table), _)) => Some(table),
            Some((_, node)) => {
                let message = format!("expected a table, found {}", node.kind());
                errors.push(ConfigError::new(&path, message).source(node.source.clone()));
                None
            }
            None => None,
        };
        let mut reader = SectionReader { path, table, errors };
        let section = S::read(&mut reader);
        reader.refuse_unknown(&S::fields());
        section
    }

    /// Reads a setting, or returns its default.
    pub(super) fn field<T: SettingType>(&mut self, name: &str, default: T) -> T {
        let Some(node) = self.configured_value(name) else { return default };
        T::read(node).unwrap_or_else(|| {
            self.refuse::<T>(name, node, &T::expects());
            default
        })
    }

    /// Reads a setting within a range, or returns its default.
    pub(super) fn within<T: SettingType + PartialOrd>(
        &mut self,
        name: &str,
        default: T,
        range: &RangeInclusive<T>,
    ) -> T {
        let Some(node) = self.configured_value(name) else { return default };
        T::read(node).filter(|value| range.contains(value)).unwrap_or_else(|| {
            self.refuse::<T>(name, node, &expects_within(range));
            default
        })
    }

    /// Returns the written value of a setting. Reports references to variables.
    fn configured_value(&mut self, name: &str) -> Option<&'a ConfigValue> {
        let node = self.table.and_then(|table| table.get(name))?;
        if node.text().is_some_and(str::is_empty) {
            return None;
        }
        let Some(variable) = reference(node) else { return Some(node) };
        let key = format!("{}.{name}", self.path);
        let by_name = ["api_key", "api_keys", "key"].contains(&name) && self.path != "auth";
        let remedy = match name.strip_suffix('s') {
            Some(one) if by_name => format!("write `{one}_envs = [\"{variable}\"]`"),
            _ if by_name => format!("write `{name}_env = \"{variable}\"`"),
            _ if key.contains('[') => "write the value itself".to_owned(),
            _ => format!("write the value itself, or set the variable {}", nested(&key)),
        };
        let message =
            format!("references to variables such as `{variable}` are not expanded; {remedy}");
        self.errors.push(ConfigError::new(key, message).source(node.source.clone()));
        None
    }

    fn refuse<T: SettingType>(&mut self, name: &str, node: &ConfigValue, expected: &str) {
        let found = if T::is_secret() { node.kind().to_owned() } else { node.describe() };
        let meant = node
            .text()
            .map_or_else(String::new, |text| did_you_mean(text, T::words().iter().copied()));
        let message = format!("expected {expected}; found {found}{meant}");
        let error = ConfigError::new(format!("{}.{name}", self.path), message);
        self.errors.push(error.source(node.source.clone()));
    }

    fn refuse_unknown(self, fields: &[SettingDescription]) {
        for (key, node) in self.table.into_iter().flatten() {
            if fields.iter().any(|field| field.name == key) {
                continue;
            }
            let names = || fields.iter().map(|field| field.name);
            let meant = did_you_mean(key, names());
            let path = format!("{}.{}", self.path, printable(key));
            let error = if meant.is_empty() {
                let known = names().collect::<Vec<_>>().join(", ");
                ConfigError::unknown_setting(path, &known)
            } else {
                ConfigError::new(path, format!("unknown setting{meant}"))
            };
            self.errors.push(error.source(node.source.clone()));
        }
    }
}

/// The name of the variable that a text of the file refers to as other programs do:
/// `os.environ/NAME`, `${NAME}`, `$NAME`, `env:NAME`, `{{ env.NAME }}`.
fn reference(node: &ConfigValue) -> Option<String> {
    match &node.content {
        ValueKind::List(items) => return items.iter().find_map(reference),
        ValueKind::Table(table) => return table.values().find_map(reference),
        ValueKind::Text(_) | ValueKind::Integer(_) | ValueKind::Decimal(_) | ValueKind::Flag(_) => {
        }
    }
    let text = node.text().filter(|_| matches!(node.source, ValueSource::File(_)))?;
    let braced = |open: &str, close: &str| text.strip_prefix(open)?.strip_suffix(close);
    let name = text
        .strip_prefix("os.environ/")
        .or_else(|| text.strip_prefix("env:"))
        .or_else(|| text.strip_prefix("env."))
        .or_else(|| braced("${", "}"))
        .or_else(|| braced("{{", "}}").map(|it| it.trim().trim_start_matches("env.")))
        .or_else(|| text.strip_prefix('$'))?;
    let is_name = name.len() >= 2
        && name.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_');
    is_name.then(|| name.to_owned())
}

/// Describes the valid values of a setting within a range.
pub(super) fn expects_within<T: SettingType>(range: &RangeInclusive<T>) -> String {
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
    (@expects $type:ty) => { <$type as $crate::value::SettingType>::expects() };
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

        /// Two sections are equal if all of their settings are, secrets included.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                use $crate::section::Section as _;
                let settings = |it: &Self| -> Vec<_> {
                    it.show().into_iter().map(|setting| setting.fingerprint).collect()
                };
                settings(self) == settings(other)
            }
        }

        impl $crate::section::Section for $name {
            fn about() -> Vec<&'static str> {
                vec![$($about.trim_ascii()),+]
            }

            fn fields() -> Vec<$crate::section::SettingDescription> {
                use $crate::{section::SettingDescription, value::SettingType};
                vec![$( SettingDescription {
                    name: stringify!($field),
                    prefixed: section!(@names $($prefixed)?),
                    bare: section!(@names $($bare)?),
                    expects: section!(@expects $type $(, $range)?),
                    default: { let default: $type = $default; default.show() },
                    meaning: vec![$($meaning.trim_ascii()),+],
                }, )+]
            }

            fn read(reader: &mut $crate::section::SectionReader<'_>) -> Self {
                Self { $( $field: section!(@read reader $field $default $(, $range)?), )+ }
            }

            fn show(&self) -> Vec<$crate::section::DisplayedSetting> {
                use $crate::{section::DisplayedSetting, value::SettingType};
                vec![$( DisplayedSetting {
                    name: stringify!($field).to_owned(),
                    value: self.$field.show(),
                    fingerprint: self.$field.fingerprint(),
                }, )+]
            }
        }
    };
}
pub(super) use section;
