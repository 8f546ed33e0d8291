//! The types of settings: reading from the file or a variable, and display.

use super::raw_value::{ConfigValue, ValueKind};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

/// The type of a setting.
pub(super) trait SettingType: Sized {
    /// Describes valid values: `a whole number`.
    fn expects() -> String;

    /// Returns whether values are secrets, which no message quotes.
    fn is_secret() -> bool {
        false
    }

    /// Returns the valid words of an enumeration.
    fn words() -> &'static [&'static str] {
        &[]
    }

    /// Reads a value; `None` if it is not of this type.
    fn read(node: &ConfigValue) -> Option<Self>;

    /// Returns the value as TOML, secrets hidden; `None` if it is not set.
    fn show(&self) -> Option<String>;

    /// Returns a text that differs if the value does; for a secret, its hash. Never displayed.
    fn fingerprint(&self) -> Option<String> {
        self.show()
    }
}

/// The replacement of a secret.
pub(super) const REDACTED: &str = "\"[redacted]\"";

/// Returns a text as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

macro_rules! whole_numbers {
    ($($type:ty),+) => {$(
        impl SettingType for $type {
            fn expects() -> String {
                "a whole number".to_owned()
            }

            fn read(node: &ConfigValue) -> Option<Self> {
                if let ValueKind::Integer(number) = node.content {
                    return Self::try_from(number).ok();
                }
                node.text()?.parse().ok()
            }

            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}

whole_numbers!(u16, u32, u64, usize);

impl SettingType for f64 {
    fn expects() -> String {
        "a number".to_owned()
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody writes numbers of that size")]
    fn read(node: &ConfigValue) -> Option<Self> {
        let number = match &node.content {
            ValueKind::Integer(number) => *number as Self,
            ValueKind::Decimal(number) => *number,
            ValueKind::Text(text) => text.trim().parse().ok()?,
            ValueKind::Flag(_) | ValueKind::List(_) | ValueKind::Table(_) => return None,
        };
        number.is_finite().then_some(number)
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl SettingType for bool {
    fn expects() -> String {
        "true or false".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        if let ValueKind::Flag(flag) = node.content {
            return Some(flag);
        }
        match node.text()?.to_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl SettingType for String {
    fn expects() -> String {
        "a text".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let text = node.text()?;
        (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
    }

    fn show(&self) -> Option<String> {
        Some(quoted(self))
    }
}

/// Returns a secret, if it can be sent in a header.
pub(super) fn secret(text: &str) -> Option<SecretString> {
    let fits = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    fits.then(|| text.into())
}

impl SettingType for SecretString {
    fn expects() -> String {
        "a secret of visible ASCII characters".to_owned()
    }

    fn is_secret() -> bool {
        true
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        secret(node.text()?)
    }

    fn show(&self) -> Option<String> {
        (!self.expose_secret().is_empty()).then(|| REDACTED.to_owned())
    }

    fn fingerprint(&self) -> Option<String> {
        Some(hash_of(self.expose_secret().as_bytes()))
    }
}

/// Returns the fingerprint of a secret.
pub(super) fn hash_of(secret: &[u8]) -> String {
    format!("{:x}", Sha256::digest(secret))
}

impl SettingType for PathBuf {
    fn expects() -> String {
        "a path".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        String::read(node).map(Self::from)
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string_lossy()))
    }
}

impl SettingType for IpAddr {
    fn expects() -> String {
        "an IP address or `localhost`".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let text = node.text()?;
        if text.eq_ignore_ascii_case("localhost") {
            return Some(Ipv4Addr::LOCALHOST.into());
        }
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// The units of durations, the larger first, and how many milliseconds they have.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("h", 3_600_000), ("min", 60_000), ("m", 60_000), ("s", 1000)];

impl SettingType for Duration {
    fn expects() -> String {
        "a duration such as `10s` or `500ms`".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let Some(text) = node.text() else {
            return Self::try_from_secs_f64(f64::read(node)?).ok();
        };
        let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit));
        let (number, factor) =
            unit.map_or((text, 1000), |&(unit, factor)| (text.trim_end_matches(unit), factor));
        let number: f64 = number.trim_end().parse().ok()?;
        #[expect(clippy::cast_precision_loss, reason = "the factors are small")]
        Self::try_from_secs_f64(number * factor as f64 / 1000.0).ok()
    }

    fn show(&self) -> Option<String> {
        let millis = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        let whole = |factor: u64| millis >= factor && millis.is_multiple_of(factor);
        Some(match millis {
            0 => "\"0s\"".to_owned(),
            _ if whole(3_600_000) => format!("\"{}h\"", millis / 3_600_000),
            _ if millis >= 300_000 && whole(60_000) => format!("\"{}m\"", millis / 60_000),
            _ if whole(1000) => format!("\"{}s\"", millis / 1000),
            _ => format!("\"{millis}ms\""),
        })
    }
}

impl<T: SettingType> SettingType for Option<T> {
    fn expects() -> String {
        T::expects()
    }

    fn is_secret() -> bool {
        T::is_secret()
    }

    fn words() -> &'static [&'static str] {
        T::words()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        T::read(node).map(Some)
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }

    fn fingerprint(&self) -> Option<String> {
        self.as_ref().and_then(T::fingerprint)
    }
}

impl<T: SettingType> SettingType for Vec<T> {
    fn expects() -> String {
        format!("a list, each item {}; in a variable, separated by commas", T::expects())
    }

    fn is_secret() -> bool {
        T::is_secret()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        if let ValueKind::List(items) = &node.content {
            return items.iter().map(T::read).collect();
        }
        let items = node.text()?.split(',').map(str::trim).filter(|item| !item.is_empty());
        let item = |text: &str| {
            let content = ValueKind::Text(text.to_owned());
            T::read(&ConfigValue { content, source: node.source.clone() })
        };
        items.map(item).collect()
    }

    fn show(&self) -> Option<String> {
        list(&self.iter().filter_map(T::show).collect::<Vec<_>>())
    }

    fn fingerprint(&self) -> Option<String> {
        list(&self.iter().filter_map(T::fingerprint).collect::<Vec<_>>())
    }
}

impl<T: SettingType> SettingType for BTreeMap<String, T> {
    fn expects() -> String {
        format!("a table, each value {}", T::expects())
    }

    fn is_secret() -> bool {
        T::is_secret()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let ValueKind::Table(table) = &node.content else { return None };
        table.iter().map(|(key, node)| Some((key.clone(), T::read(node)?))).collect()
    }

    fn show(&self) -> Option<String> {
        pairs(self.iter().map(|(key, value)| (key, value.show())))
    }

    fn fingerprint(&self) -> Option<String> {
        pairs(self.iter().map(|(key, value)| (key, value.fingerprint())))
    }
}

fn list(items: &[String]) -> Option<String> {
    (!items.is_empty()).then(|| format!("[{}]", items.join(", ")))
}

fn pairs<'a>(all: impl Iterator<Item = (&'a String, Option<String>)>) -> Option<String> {
    let pair =
        |(key, value): (&String, Option<String>)| Some(format!("{} = {}", quoted(key), value?));
    let pairs: Vec<_> = all.filter_map(pair).collect();
    (!pairs.is_empty()).then(|| format!("{{ {} }}", pairs.join(", ")))
}

/// Declares an enum whose variants are written as words; the first word of each is its name.
macro_rules! choice {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $meaning:literal])+ $variant:ident = $word:literal $(| $more:literal)*;)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[doc = $meaning])+ $variant,)+ }

        impl $name {
            /// The word by which it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::value::SettingType for $name {
            fn expects() -> String {
                [$(concat!("`", $word, "`")),+].join(", ")
            }

            fn words() -> &'static [&'static str] {
                &[$($word),+]
            }

            fn read(node: &$crate::raw_value::ConfigValue) -> Option<Self> {
                match node.text()?.to_lowercase().as_str() {
                    $($word $(| $more)* => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn show(&self) -> Option<String> {
                Some($crate::value::quoted(self.as_str()))
            }
        }
    };
}
pub(super) use choice;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw_value::ValueSource;

    #[track_caller]
    fn check<T: SettingType>(content: impl Into<ValueKind>, shown: Option<&str>) {
        let node =
            ConfigValue { content: content.into(), source: ValueSource::Variable("X".into()) };
        assert_eq!(T::read(&node).and_then(|value| value.show()).as_deref(), shown);
    }

    impl From<&str> for ValueKind {
        fn from(text: &str) -> Self {
            Self::Text(text.to_owned())
        }
    }

    #[test]
    fn duration_units_are_parsed() {
        check::<Duration>("10s", Some("\"10s\""));
        check::<Duration>("500ms", Some("\"500ms\""));
        check::<Duration>("1.5 s", Some("\"1500ms\""));
        check::<Duration>("30m", Some("\"30m\""));
        check::<Duration>("2h", Some("\"2h\""));
        check::<Duration>("10", Some("\"10s\""));
        check::<Duration>(ValueKind::Integer(10), Some("\"10s\""));
        check::<Duration>(ValueKind::Decimal(0.25), Some("\"250ms\""));
        check::<Duration>("0", Some("\"0s\""));
        for wrong in ["", "s", "-1s", "1d", "1e400", "NaN", "ten", "1s1s"] {
            check::<Duration>(wrong, None);
        }
        check::<Duration>(ValueKind::Flag(true), None);
    }

    #[test]
    fn number_is_parsed_from_text() {
        check::<u16>("80", Some("80"));
        check::<u16>(ValueKind::Integer(80), Some("80"));
        check::<u16>(ValueKind::Integer(65536), None);
        check::<u16>("-1", None);
        check::<u16>("80.5", None);
        check::<f64>("0.5", Some("0.5"));
        check::<f64>("inf", None);
    }

    #[test]
    fn numeric_text_can_be_a_secret() {
        check::<SecretString>("123456", Some(REDACTED));
        check::<SecretString>(ValueKind::Integer(1), None);
        check::<SecretString>("ключ", None);
        check::<SecretString>("a\nb", None);
    }

    #[test]
    fn list_is_parsed_from_commas() {
        check::<Vec<String>>("a, b,,c", Some(r#"["a", "b", "c"]"#));
        check::<Vec<u16>>("1,x", None);
        check::<Vec<String>>(ValueKind::Flag(true), None);
    }

    #[test]
    fn ip_address_or_localhost_is_parsed() {
        check::<IpAddr>("localhost", Some("\"127.0.0.1\""));
        check::<IpAddr>("[::1]", Some("\"::1\""));
        check::<IpAddr>("example.org", None);
    }

    #[test]
    fn flag_spellings_are_parsed() {
        check::<bool>("ON", Some("true"));
        check::<bool>("0", Some("false"));
        check::<bool>(ValueKind::Flag(true), Some("true"));
        check::<bool>("maybe", None);
    }

    #[test]
    fn quoted_text_is_valid_toml() {
        assert_eq!(quoted("a\"b\\"), toml::Value::from("a\"b\\").to_string());
    }
}
