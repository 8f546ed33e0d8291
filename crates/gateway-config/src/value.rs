//! The types of settings: how each is read from the file or a variable, and shown.

use super::node::{Content, Node};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// What to write, in words: `a whole number`.
    fn expects() -> String;

    /// Reads a value; `None` if it is not one of this type.
    fn read(node: &Node) -> Option<Self>;

    /// The value as TOML, secrets hidden; `None` if there is none.
    fn show(&self) -> Option<String>;

    /// What differs if the value does: what is shown of it, and of a secret its hash. Never shown.
    fn mark(&self) -> Option<String> {
        self.show()
    }
}

/// Shown instead of a secret.
pub(super) const REDACTED: &str = "\"[redacted]\"";

/// A text as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

macro_rules! whole_numbers {
    ($($type:ty),+) => {$(
        impl Value for $type {
            fn expects() -> String {
                "a whole number".to_owned()
            }

            fn read(node: &Node) -> Option<Self> {
                if let Content::Integer(number) = node.content {
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

impl Value for f64 {
    fn expects() -> String {
        "a number".to_owned()
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody writes numbers of that size")]
    fn read(node: &Node) -> Option<Self> {
        let number = match &node.content {
            Content::Integer(number) => *number as Self,
            Content::Decimal(number) => *number,
            Content::Text(text) => text.trim().parse().ok()?,
            Content::Flag(_) | Content::List(_) | Content::Table(_) => return None,
        };
        number.is_finite().then_some(number)
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for bool {
    fn expects() -> String {
        "true or false".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
        if let Content::Flag(flag) = node.content {
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

impl Value for String {
    fn expects() -> String {
        "a text".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
        let text = node.text()?;
        (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
    }

    fn show(&self) -> Option<String> {
        Some(quoted(self))
    }
}

/// A secret, if it can be sent in a header.
pub(super) fn secret(text: &str) -> Option<SecretString> {
    let fits = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    fits.then(|| text.into())
}

impl Value for SecretString {
    fn expects() -> String {
        "a secret of visible ASCII characters".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
        secret(node.text()?)
    }

    fn show(&self) -> Option<String> {
        (!self.expose_secret().is_empty()).then(|| REDACTED.to_owned())
    }

    fn mark(&self) -> Option<String> {
        Some(hash_of(self.expose_secret().as_bytes()))
    }
}

/// Tells two secrets apart.
pub(super) fn hash_of(secret: &[u8]) -> String {
    format!("{:x}", Sha256::digest(secret))
}

impl Value for PathBuf {
    fn expects() -> String {
        "a path".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
        String::read(node).map(Self::from)
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string_lossy()))
    }
}

impl Value for IpAddr {
    fn expects() -> String {
        "an IP address or `localhost`".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
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

impl Value for Duration {
    fn expects() -> String {
        "a duration such as `10s` or `500ms`".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
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

impl<T: Value> Value for Option<T> {
    fn expects() -> String {
        T::expects()
    }

    fn read(node: &Node) -> Option<Self> {
        T::read(node).map(Some)
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }

    fn mark(&self) -> Option<String> {
        self.as_ref().and_then(T::mark)
    }
}

impl<T: Value> Value for Vec<T> {
    fn expects() -> String {
        format!("a list, each item {}; in a variable, separated by commas", T::expects())
    }

    fn read(node: &Node) -> Option<Self> {
        if let Content::List(items) = &node.content {
            return items.iter().map(T::read).collect();
        }
        let items = node.text()?.split(',').map(str::trim).filter(|item| !item.is_empty());
        let item = |text: &str| {
            let content = Content::Text(text.to_owned());
            T::read(&Node { content, source: node.source.clone() })
        };
        items.map(item).collect()
    }

    fn show(&self) -> Option<String> {
        list(&self.iter().filter_map(T::show).collect::<Vec<_>>())
    }

    fn mark(&self) -> Option<String> {
        list(&self.iter().filter_map(T::mark).collect::<Vec<_>>())
    }
}

impl<T: Value> Value for BTreeMap<String, T> {
    fn expects() -> String {
        format!("a table, each value {}", T::expects())
    }

    fn read(node: &Node) -> Option<Self> {
        let Content::Table(table) = &node.content else { return None };
        table.iter().map(|(key, node)| Some((key.clone(), T::read(node)?))).collect()
    }

    fn show(&self) -> Option<String> {
        pairs(self.iter().map(|(key, value)| (key, value.show())))
    }

    fn mark(&self) -> Option<String> {
        pairs(self.iter().map(|(key, value)| (key, value.mark())))
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

        impl $crate::value::Value for $name {
            fn expects() -> String {
                [$(concat!("`", $word, "`")),+].join(", ")
            }

            fn read(node: &$crate::node::Node) -> Option<Self> {
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
    use crate::node::Source;

    #[track_caller]
    fn check<T: Value>(content: impl Into<Content>, shown: Option<&str>) {
        let node = Node { content: content.into(), source: Source::Variable("X".into()) };
        assert_eq!(T::read(&node).and_then(|value| value.show()).as_deref(), shown);
    }

    impl From<&str> for Content {
        fn from(text: &str) -> Self {
            Self::Text(text.to_owned())
        }
    }

    #[test]
    fn durations_have_units() {
        check::<Duration>("10s", Some("\"10s\""));
        check::<Duration>("500ms", Some("\"500ms\""));
        check::<Duration>("1.5 s", Some("\"1500ms\""));
        check::<Duration>("30m", Some("\"30m\""));
        check::<Duration>("2h", Some("\"2h\""));
        check::<Duration>("10", Some("\"10s\""));
        check::<Duration>(Content::Integer(10), Some("\"10s\""));
        check::<Duration>(Content::Decimal(0.25), Some("\"250ms\""));
        check::<Duration>("0", Some("\"0s\""));
        for wrong in ["", "s", "-1s", "1d", "1e400", "NaN", "ten", "1s1s"] {
            check::<Duration>(wrong, None);
        }
        check::<Duration>(Content::Flag(true), None);
    }

    #[test]
    fn numbers_may_be_text_and_text_is_no_number() {
        check::<u16>("80", Some("80"));
        check::<u16>(Content::Integer(80), Some("80"));
        check::<u16>(Content::Integer(65536), None);
        check::<u16>("-1", None);
        check::<u16>("80.5", None);
        check::<f64>("0.5", Some("0.5"));
        check::<f64>("inf", None);
    }

    #[test]
    fn a_secret_that_looks_like_a_number_is_a_text() {
        check::<SecretString>("123456", Some(REDACTED));
        check::<SecretString>(Content::Integer(1), None);
        check::<SecretString>("ключ", None);
        check::<SecretString>("a\nb", None);
    }

    #[test]
    fn lists_are_lists_or_separated_by_commas() {
        check::<Vec<String>>("a, b,,c", Some(r#"["a", "b", "c"]"#));
        check::<Vec<u16>>("1,x", None);
        check::<Vec<String>>(Content::Flag(true), None);
    }

    #[test]
    fn addresses_are_numbers_or_localhost() {
        check::<IpAddr>("localhost", Some("\"127.0.0.1\""));
        check::<IpAddr>("[::1]", Some("\"::1\""));
        check::<IpAddr>("example.org", None);
    }

    #[test]
    fn flags_have_many_spellings() {
        check::<bool>("ON", Some("true"));
        check::<bool>("0", Some("false"));
        check::<bool>(Content::Flag(true), Some("true"));
        check::<bool>("maybe", None);
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        assert_eq!(quoted("a\"b\\"), toml::Value::from("a\"b\\").to_string());
    }
}
