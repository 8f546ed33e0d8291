//! The report of an import.

use std::fmt;

/// The outcome of importing a setting.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum NoteKind {
    /// It has no counterpart, and is left out.
    Missing,
    /// It is kept in another form, or needs a decision.
    Changed,
}

/// A line of the report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportNote {
    /// The outcome of importing it.
    pub kind: NoteKind,
    /// The setting, as the imported file names it.
    pub setting: String,
    /// The reason, and what to do.
    pub text: String,
}

/// The settings that an import changed or left out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// The lines, in the order of the imported file.
    pub notes: Vec<ReportNote>,
}

impl Report {
    /// Notes that `setting` has no counterpart.
    pub(crate) fn missing(&mut self, setting: impl Into<String>, text: impl Into<String>) {
        self.add(NoteKind::Missing, setting.into(), text.into());
    }

    /// Notes that `setting` is kept in another form.
    pub(crate) fn changed(&mut self, setting: impl Into<String>, text: impl Into<String>) {
        self.add(NoteKind::Changed, setting.into(), text.into());
    }

    fn add(&mut self, kind: NoteKind, setting: String, text: String) {
        let note = ReportNote { kind, setting, text };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn section(&self, kind: NoteKind, title: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notes: Vec<_> = self.notes.iter().filter(|note| note.kind == kind).collect();
        if notes.is_empty() {
            return Ok(());
        }
        writeln!(f, "{title}:")?;
        notes.iter().try_for_each(|note| writeln!(f, "  {}: {}", note.setting, note.text))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.notes.is_empty() {
            return writeln!(f, "Everything has a counterpart.");
        }
        self.section(NoteKind::Missing, "Without a counterpart", f)?;
        self.section(NoteKind::Changed, "Changed", f)
    }
}
