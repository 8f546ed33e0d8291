//! The pages and what they are made of: files that are part of the program.
//!
//! They fetch nothing from elsewhere, and the browser is told to see to it.

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A file: its name, its type and its text.
type File = (&'static str, &'static str, &'static str);

macro_rules! part {
    ($name:literal, $kind:ident) => {
        ($name, $kind, include_str!(concat!("page/", $name)))
    };
}

/// The files of the console.
const CONSOLE: &[File] = &[
    part!("index.html", HTML),
    part!("icon.svg", IMAGE),
    part!("theme.css", CSS),
    part!("layout.css", CSS),
    part!("parts.css", CSS),
    part!("api.js", SCRIPT),
    part!("chart.js", SCRIPT),
    part!("dialects.js", SCRIPT),
    part!("dom.js", SCRIPT),
    part!("feed.js", SCRIPT),
    part!("format.js", SCRIPT),
    part!("main.js", SCRIPT),
    part!("prometheus.js", SCRIPT),
    part!("schema-form.js", SCRIPT),
    part!("sse.js", SCRIPT),
    part!("theme.js", SCRIPT),
    part!("view-explain.js", SCRIPT),
    part!("view-live.js", SCRIPT),
    part!("view-playground.js", SCRIPT),
    part!("view-providers.js", SCRIPT),
    part!("view-sessions.js", SCRIPT),
    part!("view-tools.js", SCRIPT),
    part!("view-usage.js", SCRIPT),
];

/// The files of the reader of the API's description.
const DOCS: &[File] = &[
    part!("docs.html", HTML),
    part!("docs.css", CSS),
    part!("docs.js", SCRIPT),
    part!("icon.svg", IMAGE),
    part!("dom.js", SCRIPT),
    part!("theme.css", CSS),
    part!("theme.js", SCRIPT),
    part!("parts.css", CSS),
];

/// The content security policy of the pages: they run and fetch what the gateway serves, nothing
/// else.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// A file that is part of the program.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its content.
    pub text: &'static str,
}

/// The file `name` of the console, or its page if `name` is empty; `None` if there is no such file.
pub fn console_asset(name: &str) -> Option<Asset> {
    find(CONSOLE, name)
}

/// The file `name` of the API reference, or its page if `name` is empty; `None` if there is no such
/// file.
pub fn reference_asset(name: &str) -> Option<Asset> {
    find(DOCS, name)
}

/// A file by its name; the first is the page itself.
fn find(files: &[File], name: &str) -> Option<Asset> {
    let wanted = if name.is_empty() { files.first() } else { files.iter().find(|it| it.0 == name) };
    wanted.map(|&(_, content_type, text)| Asset { content_type, text })
}

#[cfg(test)]
mod tests {
    use super::{CONSOLE, DOCS, File};
    use std::collections::BTreeSet;

    /// The names after `begin`, up to a quotation mark.
    fn names_after<'a>(text: &'a str, begin: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(begin).skip(1).filter_map(|rest| rest.split('"').next())
    }

    /// Every file that another one asks for is there, and each is asked for.
    #[track_caller]
    fn check(files: &[File], folder: &str) {
        let known: BTreeSet<_> = files.iter().map(|(name, ..)| *name).collect();
        let mut asked = BTreeSet::from([files[0].0]);
        for (_, _, text) in files {
            asked.extend(names_after(text, "from \"./"));
            for begin in ["href=\"", "src=\""] {
                asked.extend(names_after(text, begin).filter_map(|it| it.strip_prefix(folder)));
            }
        }
        assert_eq!(asked, known);
    }

    #[test]
    fn console_assets_are_complete() {
        check(CONSOLE, "console/");
    }

    #[test]
    fn api_reference_assets_are_complete() {
        check(DOCS, "docs/");
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for (name, _, text) in CONSOLE.iter().chain(DOCS) {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{name}");
            assert!(!text.contains(" style=\"") && !text.contains(" onclick=\""), "{name}");
        }
    }
}
