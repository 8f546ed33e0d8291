//! The console in a real browser: every view used, with mouse and keyboard, in light and in dark.

mod browser;
mod checks;
mod data;
mod traffic;

use crate::{
    gateway::{Binary, Gateway, Settings},
    needs,
    tally::Tally,
    terminal::say,
    test,
    workspace::{Workspace, program},
};
use anyhow::Context as _;
use browser::Browser;
use checks::{CHECKS, Page, VIEWS};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The arguments of `console`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    binary: Binary,
    /// Write pictures of every view into this folder
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
}

/// Installs a browser if there is none, and tests the console with it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    needs::chromium(&workspace.shell)?;
    let program = arguments.binary.path(workspace)?;
    let folder = workspace.scratch("console")?;
    let profile = folder.join("profile");
    if profile.exists() {
        fs::remove_dir_all(&profile).with_context(|| profile.display().to_string())?;
    }
    // A page asks more in a minute than a caller without a key may by default.
    let gateway = Gateway::start(&program, Some(&Settings::default()), &folder)?;
    let browser = Browser::start(&folder)?;
    let page = Page { browser: &browser, port: gateway.port };
    let tally = check(&page)?;
    if let Some(folder) = &arguments.pictures {
        pictures(&page, folder)?;
    }
    say(tally.to_string());
    test::judge(tally)
}

/// The same with the program that the tests have built, where there is a browser already.
pub(crate) fn in_ci(workspace: &Workspace) -> anyhow::Result<()> {
    if program("chromium").is_none() || program("chromedriver").is_none() {
        say("chromium is not installed: left out; `cargo xtask console` installs it");
        return Ok(());
    }
    workspace.cargo("build --locked -p gateway-server").run()?;
    let binary = Binary::at(workspace.target.join("debug/gateway-server"));
    run(workspace, &Arguments { binary, pictures: None })
}

fn check(page: &Page<'_>) -> anyhow::Result<Tally> {
    page.view("live")?;
    let tally = CHECKS.iter().map(|check| {
        let result = (check.holds)(page);
        match &result {
            Ok(()) => say(format!("ok    {}", check.name)),
            Err(error) => say(format!("FAIL  {}: {error:#}", check.name)),
        }
        Tally::one(result.is_ok())
    });
    let tally: Tally = tally.sum();
    // What a view asks for in vain is told as such, and is no fault of the page.
    let complaints = page.browser.complaints()?.into_iter();
    let faults: Vec<_> =
        complaints.filter(|it| !it.contains("the server responded with a status")).collect();
    let expected: Vec<_> = faults.iter().filter(|it| !it.contains("127.0.0.1:1/")).collect();
    for fault in &expected {
        say(format!("FAIL  the page complains: {fault}"));
    }
    Ok(tally + Tally::one(expected.is_empty()))
}

/// Every view in light and in dark, with something to see in it.
fn pictures(page: &Page<'_>, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    page.view("live")?;
    let streams = traffic::plenty(page.port)?;
    for theme in ["light", "dark"] {
        for view in VIEWS {
            page.view(view)?;
            checks::set_theme(page.browser, theme)?;
            prepare(page, view)?;
            page.browser.picture(&folder.join(format!("{view}-{theme}.png")))?;
        }
        page.browser.open(&format!("http://127.0.0.1:{}/docs", page.port))?;
        page.browser.until("document.querySelectorAll('.operation').length > 20")?;
        page.browser.run("window.scrollTo(0, 0)")?;
        page.browser.picture(&folder.join(format!("docs-{theme}.png")))?;
    }
    for stream in streams {
        stream.join().map_err(|_| anyhow::anyhow!("a stream broke"))??;
    }
    Ok(())
}

/// Uses a view a little before its picture is taken.
fn prepare(page: &Page<'_>, view: &str) -> anyhow::Result<()> {
    let (script, done) = match view {
        "live" => ("", "document.querySelectorAll('#content td').length > 20"),
        "usage" => ("", "document.querySelectorAll('#content tbody tr').length > 0"),
        "providers" => ("", "document.querySelectorAll('#content .cards .panel').length > 0"),
        "sessions" => (
            "setTimeout(() => document.querySelector('#content .list button').click(), 400)",
            "document.querySelectorAll('#content .bubble').length > 1",
        ),
        "tools" => ("", "document.querySelector('#content .panel') !== null"),
        "playground" => (
            "document.getElementById('model').value = 'fake/chunks-10-20ms'; \
             document.getElementById('ask').click()",
            "document.querySelectorAll('#events details').length > 10",
        ),
        _ => (
            "document.getElementById('explain').click()",
            "document.querySelectorAll('#content .panel, #content .notice').length > 1",
        ),
    };
    page.browser.run(script)?;
    page.browser.until(done)
}
