//! The catalogue: cards by provider and name.

use crate::{
    card,
    error::CatalogueError,
    families, import, names,
    row::ModelRow,
    table::{RowTable, key_of},
    text,
};
use foldhash::HashMap;
use gateway_core::{Date, ModelCard, ModelCatalogue, ModelKind, sync};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::BuildHasher as _,
    sync::{Arc, RwLock},
};

/// The text of this release.
const BUILT_IN: &str = include_str!("../data/catalogue.txt");

/// Names that were looked up are remembered, up to this many.
const MAX_REMEMBERED: usize = 1024;
/// The id of a model that no row describes: its name is the caller's to choose, and no label.
const UNLISTED: &str = "other";
/// Longer names are no names of models.
const MAX_NAME: usize = 256;

/// Cards by provider and name. Cheap to look up in, and never on the heap as a whole.
#[derive(Debug)]
pub struct TextCatalogue {
    table: RowTable,
    /// The day of the prices that were laid over those of the release.
    as_of: Option<Date>,
    is_overlaid: bool,
    /// A digest of the text; nothing for the built-in one, so that it is not read as a whole.
    digest: u64,
    remembered: RwLock<HashMap<String, Option<Arc<ModelCard>>>>,
}

impl TextCatalogue {
    /// The catalogue of this release.
    pub fn built_in() -> Self {
        Self::of_table(RowTable::new(BUILT_IN))
    }

    /// The catalogue of a text in our own form.
    ///
    /// # Errors
    ///
    /// Names the first row that cannot be understood or is out of order.
    pub fn parse(text: String) -> Result<Self, CatalogueError> {
        let digest = foldhash::quality::FixedState::default().hash_one(&text);
        let table = RowTable::new(Cow::Owned(text));
        let mut last = String::new();
        for row in table.iter() {
            text::parse_row(row)?;
            let key = key_of(row).to_ascii_lowercase();
            if key <= last {
                return Err(CatalogueError::Order(key));
            }
            last = key;
        }
        Ok(Self { digest, ..Self::of_table(table) })
    }

    /// The catalogue of a text in any known form. One in our own form is the whole catalogue; a public
    /// data set is laid over the catalogue of this release, row by row.
    ///
    /// # Errors
    ///
    /// If the text is of no known form, or has a row that cannot be understood.
    pub fn import(text: String) -> Result<Self, CatalogueError> {
        let (format, rows) = import::any(&text)?;
        if format == import::CatalogueFormat::Own {
            return Self::parse(text);
        }
        let built_in = Self::built_in();
        let mut merged: BTreeMap<String, ModelRow> = BTreeMap::new();
        let rows = rows.into_iter().map(|mut row| {
            row.drop_doubtful_prices();
            row
        });
        for mut row in built_in.rows().chain(rows) {
            let key = format!("{}/{}", row.provider, row.id).to_ascii_lowercase();
            if let Some(known) = merged.remove(&key) {
                row = row.laid_over(known);
            }
            merged.insert(key, row);
        }
        let mut text: String = built_in.table.head().flat_map(|line| [line, "\n"]).collect();
        for row in merged.values() {
            text::write_row(row, &mut text);
        }
        Ok(Self { is_overlaid: true, ..Self::parse(text)? })
    }

    /// Sets the day of a public data set that was laid over the release, which does not name one.
    #[must_use]
    pub fn as_of(mut self, day: Date) -> Self {
        if self.is_overlaid {
            self.as_of = Some(day);
        }
        self
    }

    /// Returns the whole catalogue in our own form.
    pub fn text(&self) -> &str {
        self.table.text()
    }

    fn of_table(table: RowTable) -> Self {
        let (as_of, is_overlaid, digest) = (None, false, 0);
        Self { table, as_of, is_overlaid, digest, remembered: RwLock::default() }
    }

    /// Returns other names for models, and what they stand for.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.table.head().filter_map(|line| line.strip_prefix('@')?.split_once(' '))
    }

    /// Returns the day of the prices, if it is known: that of the data set, or the one on which the
    /// catalogue was generated.
    pub fn generated(&self) -> Option<Date> {
        self.as_of.or_else(|| self.generated_of_head())
    }

    fn generated_of_head(&self) -> Option<Date> {
        let day = |line: &str| Date::parse(line.strip_prefix("# generated ")?.get(..10)?);
        self.table.head().find_map(day)
    }

    /// Returns the lines of the head that name sources.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.table.head().filter_map(|line| line.strip_prefix("# source "))
    }

    /// Returns the row of a model, with the facts of the row that it is another name of.
    pub fn row(&self, provider: &str, name: &str) -> Option<ModelRow> {
        let key = format!("{provider}/{}", name.to_lowercase());
        let row = text::parse_row(self.table.find(&key)?).ok()?;
        let Some(same_as) = &row.same_as else { return Some(row) };
        let key = format!("{provider}/{}", same_as.to_lowercase());
        let original = text::parse_row(self.table.find(&key)?).ok()?;
        Some(ModelRow { id: row.id, same_as: row.same_as, snapshots: Vec::new(), ..original })
    }

    /// Returns every row, as it stands in the text.
    pub fn rows(&self) -> impl Iterator<Item = ModelRow> {
        self.table.iter().filter_map(|row| text::parse_row(row).ok())
    }

    /// Returns the names of a provider's models.
    pub fn ids<'a>(&'a self, provider: &'a str) -> Vec<&'a str> {
        let ids =
            self.table.with_prefix(provider).map(key_of).filter_map(|key| key.split_once('/'));
        ids.filter(|(of, _)| *of == provider).map(|(_, id)| id).collect()
    }

    /// The card of a name: its row, the row of its snapshot's base, or its family's.
    fn resolve(&self, provider: &str, name: &str) -> Option<ModelCard> {
        let spellings = names::spellings(name);
        for (at, spelling) in spellings.iter().enumerate() {
            if let Some(row) = self.row(provider, spelling) {
                let mut card = card::card(&row);
                if at > 0 {
                    name.trim().clone_into(&mut card.upstream);
                }
                return Some(card);
            }
        }
        self.of_family(provider, name)
    }

    /// The card of a name that no row has: the rules of its family, and the facts and prices of the
    /// newest known member that is not newer.
    fn of_family(&self, provider: &str, name: &str) -> Option<ModelCard> {
        let wanted = families::parse(name)?;
        let rules = families::rule(&wanted)?.rules;
        let member = self.member(provider, &wanted);
        let mut card = match member {
            Some(row) => card::card(&row),
            // A provider that the catalogue does not know: rules hold wherever a model is served.
            None => card::of_rules(UNLISTED, provider, rules),
        };
        // Another spelling of a known version is no guess.
        let is_same = families::parse(&card.id)
            .is_some_and(|it| it.is_kin(&wanted) && it.version == wanted.version);
        card.assumed_from = match card.id.as_str() {
            UNLISTED => Some(format!("the rules of {wanted}").into()),
            _ if is_same => None,
            id => Some(id.into()),
        };
        card::set_rules(&mut card, rules);
        card.display_name = None;
        name.trim().clone_into(&mut card.upstream);
        Some(card)
    }

    /// The newest member of a family that is not newer than `wanted`, else the oldest. Its own
    /// variant comes before others, of those the dearest of the newest version.
    fn member(&self, provider: &str, wanted: &families::FamilyName) -> Option<ModelRow> {
        let mut best: Option<(MemberRank, ModelRow)> = None;
        for id in self.ids(provider) {
            let Some(name) = families::parse(id) else { continue };
            if name.vendor != wanted.vendor || name.line != wanted.line {
                continue;
            }
            let Some(row) = self.row(provider, id) else { continue };
            if row.kind != ModelKind::Chat || row.prices.is_empty() {
                continue;
            }
            let rank = MemberRank::of(&name, wanted, &row);
            if best.as_ref().is_none_or(|(than, _)| rank > *than) {
                best = Some((rank, row));
            }
        }
        best.map(|(_, row)| row)
    }
}

/// The degree to which a known member stands for an unknown one.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct MemberRank {
    is_kin: bool,
    is_not_newer: bool,
    version: families::FamilyVersion,
    output: u64,
}

impl MemberRank {
    fn of(name: &families::FamilyName, wanted: &families::FamilyName, row: &ModelRow) -> Self {
        let is_not_newer = name.version <= wanted.version;
        // Of those that are newer, the oldest is nearest.
        let version = match (is_not_newer, name.version) {
            (true, version) => version,
            (false, (major, minor)) => (u16::MAX - major, u16::MAX - minor),
        };
        let output = row.prices.last().map_or(0, |price| price.price.rates.output);
        // A name without a variant may mean any: the newest counts.
        let is_kin = !wanted.variant.is_empty() && name.is_kin(wanted);
        Self { is_kin, is_not_newer, version, output }
    }
}

impl ModelCatalogue for TextCatalogue {
    fn card(&self, provider: &str, name: &str) -> Option<Arc<ModelCard>> {
        if name.is_empty() || name.len() > MAX_NAME {
            return None;
        }
        let key = format!("{provider}/{name}");
        let remembered = sync::read(&self.remembered);
        if let Some(card) = remembered.get(&key) {
            return card.clone();
        }
        drop(remembered);
        let card = self.resolve(provider, name).map(Arc::new);
        let mut remembered = sync::write(&self.remembered);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key, card.clone());
        card
    }

    fn has(&self, provider: &str, name: &str) -> bool {
        name.len() <= MAX_NAME
            && self.table.find(&format!("{provider}/{}", name.to_lowercase())).is_some()
    }

    fn cards(&self, provider: &str) -> Vec<Arc<ModelCard>> {
        let rows = self.ids(provider).into_iter().filter_map(|id| self.row(provider, id));
        rows.filter(|row| row.kind.is_served()).map(|row| Arc::new(card::card(&row))).collect()
    }

    fn version(&self) -> u64 {
        self.digest
    }

    fn prices_of(&self) -> Option<Date> {
        self.generated()
    }

    fn names(&self, provider: &str) -> Vec<String> {
        self.ids(provider).into_iter().map(str::to_owned).collect()
    }

    fn count(&self, provider: &str) -> usize {
        let is_served = |row: &&str| match row.split_once(" k=") {
            Some((_, rest)) => rest
                .split([' ', '\n'])
                .next()
                .and_then(ModelKind::parse)
                .is_some_and(ModelKind::is_served),
            None => true,
        };
        let is_own = |row: &&str| key_of(row).split_once('/').is_some_and(|(of, _)| of == provider);
        self.table.with_prefix(provider).filter(is_own).filter(is_served).count()
    }
}

#[cfg(test)]
mod tests;
