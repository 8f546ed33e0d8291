//! The rules that the compiler cannot check.
//!
//! Every rule is a function from files, or from what cargo says, to the list of what is wrong with
//! them: so each can be shown to notice. All are checked before any is reported.

mod changelog;
mod code;
mod codes;
mod counts;
mod deploy;
mod invariants;
mod language;
mod layers;
mod lengths;
mod links;
mod manifests;
mod pages;
mod ratchet;
mod tables;
mod words;

use crate::{terminal::say, workspace::Workspace};
use anyhow::ensure;

/// The arguments of `tidy`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Write the generated pages and lower the counts instead of complaining of them
    #[arg(long)]
    write: bool,
    /// Check, or write, only the counts that may only fall; it takes seconds
    #[arg(long)]
    counts: bool,
    /// List the places where a counted rule is broken, instead of checking
    #[arg(long, value_name = "RULE")]
    show: Option<String>,
}

/// A text file under version control.
#[derive(Clone, Debug)]
struct Source {
    /// Its path from the root, with `/`.
    path: String,
    text: String,
}

/// Checks every rule; fails if any is broken.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(rule) = &arguments.show {
        return counts::show(workspace, &sources(workspace)?, rule);
    }
    if arguments.counts {
        return judge(&counts::check(workspace, &sources(workspace)?, arguments.write)?);
    }
    if arguments.write {
        pages::write(workspace, &sources(workspace)?)?;
    }
    let files = sources(workspace)?;
    let mut problems = layers::check(workspace, &files)?;
    problems.extend(lengths::check(&files, lengths::EXEMPT));
    problems.extend(words::check(&files));
    problems.extend(manifests::check(&workspace.root, &workspace.packages, &files));
    problems.extend(changelog::check(&files));
    problems.extend(deploy::check(&files));
    problems.extend(links::check(&files));
    problems.extend(tables::check(&files));
    problems.extend(codes::check(&files));
    problems.extend(invariants::check(&files));
    problems.extend(pages::check(workspace, &files)?);
    problems.extend(counts::check(workspace, &files, arguments.write)?);
    judge(&problems)?;
    say(format!("tidy: {} files are in order", files.len()));
    Ok(())
}

fn judge(problems: &[String]) -> anyhow::Result<()> {
    for problem in problems {
        say(format!("tidy: {problem}"));
    }
    ensure!(problems.is_empty(), "{} problems, see above", problems.len());
    Ok(())
}

fn sources(workspace: &Workspace) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for file in workspace.files()? {
        if let (Some(path), Some(text)) = (file.to_str(), workspace.text(&file)?) {
            sources.push(Source { path: path.replace('\\', "/"), text });
        }
    }
    Ok(sources)
}

impl Source {
    /// Whether this is a file of the kind that `extension` names.
    fn is(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }
}

#[cfg(test)]
fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}
