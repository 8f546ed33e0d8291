//! The browser checks of the console.

use super::{browser::Browser, data, traffic};
use anyhow::ensure;
use serde_json::{Value, json};

/// A fact, and how it is shown.
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) holds: fn(&Page<'_>) -> anyhow::Result<()>,
}

/// The page that is checked.
pub(super) struct Page<'a> {
    pub(super) browser: &'a Browser,
    pub(super) port: u16,
}

/// The views, in the order of the navigation.
pub(super) const VIEWS: &[&str] =
    &["live", "usage", "providers", "sessions", "tools", "playground", "explain"];

pub(super) const CHECKS: &[Check] = &[
    Check { name: "the feed connects", holds: connects },
    Check { name: "requests that ended are listed", holds: lists_ended },
    Check { name: "a stream is shown while it runs", holds: shows_streams },
    Check { name: "details of a request open from the keyboard", holds: opens_details },
    Check { name: "usage tells what the accounts say", holds: data::tells_usage },
    Check { name: "providers tell how they fare", holds: tells_providers },
    Check { name: "a session is made, read, forked and deleted", holds: keeps_sessions },
    Check { name: "tools are tried, well and in vain", holds: data::tries_tools },
    Check { name: "the playground streams every dialect", holds: plays },
    Check { name: "the playground shows failures", holds: shows_failures },
    Check { name: "a request is explained, and why one is not", holds: data::explains },
    Check { name: "the theme follows the switch", holds: switches_theme },
    Check { name: "every control has a name", holds: names_controls },
    Check { name: "text stands out in both themes", holds: has_contrast },
    Check { name: "the keyboard reaches content first", holds: skips_to_content },
    Check { name: "nothing comes from elsewhere", holds: stays_here },
    Check { name: "the reader shows every endpoint", holds: reads_docs },
];

impl Page<'_> {
    pub(super) fn view(&self, name: &str) -> anyhow::Result<()> {
        let here = self.browser.run("return location.pathname")?;
        if here != "/console" {
            self.browser.open(&format!("http://127.0.0.1:{}/console", self.port))?;
        }
        self.browser.run(&format!("location.hash = '{name}'"))?;
        self.browser.until(&format!(
            "document.querySelector('#content h1')?.textContent.toLowerCase() === '{name}'"
        ))
    }

    pub(super) fn until(&self, expression: &str) -> anyhow::Result<()> {
        self.browser.until(expression)
    }

    pub(super) fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.browser.run(script)
    }
}

/// Whether the content holds an element whose text is or contains that.
pub(super) fn content_has(selector: &str, text: &str) -> String {
    format!(
        "[...document.querySelectorAll('#content {selector}')].some((it) => it.textContent.includes({}))",
        json!(text)
    )
}

fn connects(page: &Page<'_>) -> anyhow::Result<()> {
    page.view("live")?;
    page.until("document.getElementById('connection').textContent === 'Live'")
}

fn lists_ended(page: &Page<'_>) -> anyhow::Result<()> {
    page.view("live")?;
    traffic::ask(page.port, "/v1/messages", "fake/echo")?;
    traffic::ask(page.port, "/v1/responses", "fake/error-503")?;
    page.until(&content_has("td", "/v1/messages"))?;
    page.until(&content_has("td .pill.bad", ""))?;
    page.until("document.querySelectorAll('#content .chart rect').length > 0")
}

fn shows_streams(page: &Page<'_>) -> anyhow::Result<()> {
    page.view("live")?;
    let stream = traffic::stream(page.port, "fake/chunks-40-100ms");
    page.until(&content_has("td .pill.accent", "streaming"))?;
    stream.join().map_err(|_| anyhow::anyhow!("the stream broke"))??;
    page.until(&content_has("h2", "Open requests: 0"))
}

fn opens_details(page: &Page<'_>) -> anyhow::Result<()> {
    page.view("live")?;
    page.until("document.querySelector('#content td button') !== null")?;
    page.run("document.querySelector('#content td button').focus()")?;
    page.browser.press(&[ENTER])?;
    page.until(&content_has("h2", "Request "))
}

fn tells_providers(page: &Page<'_>) -> anyhow::Result<()> {
    page.view("providers")?;
    page.until(&content_has(".cards h2", "fake"))?;
    page.until(&content_has(".cards .pill", "failures"))
}

fn keeps_sessions(page: &Page<'_>) -> anyhow::Result<()> {
    page.view("sessions")?;
    page.run("document.querySelector('#content .primary').click()")?;
    page.until("document.querySelector('#content .list [aria-pressed=true]') !== null")?;
    let id =
        page.run("return document.querySelector('#content [aria-pressed=true]').dataset.id")?;
    traffic::say(page.port, id.as_str().unwrap_or_default(), "remember me")?;
    page.run("document.querySelector('#content [aria-pressed=true]').click()")?;
    page.until(&content_has(".bubble.user", "remember me"))?;
    page.run(&click("Fork"))?;
    page.until("document.querySelectorAll('#content .list button').length >= 2")?;
    page.until(&content_has(".bubble.user", "remember me"))?;
    page.run(&click("Delete"))?;
    page.until("document.getElementById('confirm-dialog').open")?;
    page.run("document.getElementById('confirm-yes').click()")?;
    page.until(&content_has(".empty", "The session does not exist any more."))
}

/// Presses the button with that text.
pub(super) fn click(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('#content button')].find((it) => it.textContent === '{text}').click()"
    )
}

fn plays(page: &Page<'_>) -> anyhow::Result<()> {
    for dialect in ["chat", "responses", "messages"] {
        page.view("live")?;
        page.view("playground")?;
        page.run(&format!(
            "document.getElementById('dialect').value = '{dialect}'; \
             document.getElementById('message').value = 'hello {dialect}'; \
             document.getElementById('ask').click()"
        ))?;
        page.until(&content_has("#answer", &format!("hello {dialect}")))?;
        page.until(&content_has(".pill.good", "complete"))?;
        page.until("document.querySelectorAll('#events details').length >= 3")?;
    }
    Ok(())
}

fn shows_failures(page: &Page<'_>) -> anyhow::Result<()> {
    page.view("live")?;
    page.view("playground")?;
    page.run(
        "document.getElementById('model').value = 'no-such-model'; \
         document.getElementById('ask').click()",
    )?;
    page.until(&content_has(".notice.bad", "404"))?;
    page.until("document.querySelectorAll('#events details').length === 1")
}

fn switches_theme(page: &Page<'_>) -> anyhow::Result<()> {
    for theme in ["dark", "light"] {
        set_theme(page.browser, theme)?;
        page.until(&format!("document.documentElement.dataset.theme === '{theme}'"))?;
    }
    Ok(())
}

pub(super) fn set_theme(browser: &Browser, theme: &str) -> anyhow::Result<()> {
    browser
        .run(&format!(
            "const it = document.getElementById('theme'); it.value = '{theme}'; \
             it.dispatchEvent(new Event('change'))"
        ))
        .map(drop)
}

/// Fields have labels, buttons and links a text, pictures a description, and ids are unique.
const NAMELESS: &str = "
    const named = (it) => it.labels?.length > 0 || it.getAttribute('aria-label') || it.textContent.trim();
    const controls = [...document.querySelectorAll('input, select, textarea, button, a, summary, svg[role=img]')];
    const ids = [...document.querySelectorAll('[id]')].map((it) => it.id);
    return [
      ...controls.filter((it) => !named(it)).map((it) => it.outerHTML.slice(0, 120)),
      ...[...document.querySelectorAll('img:not([alt])')].map((it) => it.outerHTML),
      ...ids.filter((id, index) => ids.indexOf(id) !== index),
    ]";

fn names_controls(page: &Page<'_>) -> anyhow::Result<()> {
    for view in VIEWS {
        page.view(view)?;
        let nameless = page.run(NAMELESS)?;
        ensure!(nameless == json!([]), "{view}: {nameless}");
    }
    Ok(())
}

/// Texts whose contrast to what is behind them is below 4.5, as WCAG 2 counts it.
const FAINT: &str = "
    const part = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * part(r / 255) + 0.7152 * part(g / 255) + 0.0722 * part(b / 255);
    const colour = (text) => text.match(/[\\d.]+/g).map(Number);
    const ground = (it) => {
      for (; it; it = it.parentElement) {
        const found = colour(getComputedStyle(it).backgroundColor);
        if (found.length === 3 || found[3] > 0.99) return found;
      }
      return [255, 255, 255];
    };
    const own = (it) => [...it.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const faint = (it) => {
      const [a, b] = [light(colour(getComputedStyle(it).color)), light(ground(it))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    };
    const shown = [...document.querySelectorAll('body *:not(svg *)')].filter((it) => it.offsetParent && own(it));
    return shown.filter((it) => !it.disabled && faint(it)).map((it) => `${it.tagName}.${it.className}: ${it.textContent.slice(0, 40)}`)";

fn has_contrast(page: &Page<'_>) -> anyhow::Result<()> {
    for theme in ["dark", "light"] {
        set_theme(page.browser, theme)?;
        for view in VIEWS {
            page.view(view)?;
            let faint = page.run(FAINT)?;
            ensure!(faint == json!([]), "{theme} {view}: {faint}");
        }
    }
    Ok(())
}

/// Keys that have no character, as `WebDriver` writes them.
const TAB: char = '\u{E004}';
const ENTER: char = '\u{E007}';

fn skips_to_content(page: &Page<'_>) -> anyhow::Result<()> {
    page.browser.open(&format!("http://127.0.0.1:{}/console", page.port))?;
    page.until("document.querySelector('#content h1') !== null")?;
    page.browser.press(&[TAB])?;
    page.until("document.activeElement.classList.contains('skip')")?;
    page.browser.press(&[TAB])?;
    page.until("document.activeElement.hash === '#live'")
}

fn stays_here(page: &Page<'_>) -> anyhow::Result<()> {
    let others = page.run(
        "return performance.getEntriesByType('resource').map((it) => it.name)
           .filter((name) => !name.startsWith(location.origin))",
    )?;
    ensure!(others == json!([]), "{others}");
    let refused = "const reason = await fetch('http://127.0.0.1:1/').catch((error) => error.name); \
                   return reason === 'TypeError'";
    ensure!(page.run(&format!("return (async () => {{ {refused} }})()"))? == json!(true));
    Ok(())
}

fn reads_docs(page: &Page<'_>) -> anyhow::Result<()> {
    page.browser.open(&format!("http://127.0.0.1:{}/docs", page.port))?;
    page.until("document.querySelectorAll('.operation').length > 20")?;
    page.run(
        "const it = document.getElementById('filter'); it.value = 'embeddings'; \
         it.dispatchEvent(new Event('input'))",
    )?;
    page.until("document.querySelectorAll('.operation').length === 1")
}
