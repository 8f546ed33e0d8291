//! The text form of rows: lines that a person can read and compare, and that are parsed one row at a
//! time.
//!
//! ```text
//! openai/gpt-5.4 n=GPT-5.4 r=2026-03-05 i=1050000 o=128000 +tPvjr -sp ef=none..xhigh de=none ep=crb
//!     * lg i=2.5 o=15 cr=.25 >272000 i=5 o=22.5 cr=.5 flex i=1.25 o=7.5
//! ```
//!
//! A row begins with its provider and name; fields follow. An indented line is a price: the day from
//! which it holds (`*`: from ever), its sources, and rates in dollars for a million tokens. A word
//! `>N` begins the rates of prompts longer than that, a tier's name those of the tier; what they do
//! not name is as in the standard rates. A last word `off@DAYS/HOURS` begins the standard rates of some
//! hours of the week, in UTC.

pub(crate) mod off_peak;
mod rates;

use crate::row::{AbilitySet, ModelRow, PriceRow};
use gateway_core::{Date, Effort, EffortSet, ModelKind, Price, UnitFees};
use std::fmt::Write as _;

pub(crate) use rates::decimal;

/// The defect in a line of a catalogue.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot understand `{word}` in `{line}`")]
pub struct TextError {
    /// The beginning of the line.
    pub line: String,
    /// The word that is not understood.
    pub word: String,
}

/// Writes a row, with a line break at the end.
pub fn write_row(row: &ModelRow, out: &mut String) {
    let _ = write!(out, "{}/{}", row.provider, row.id);
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(out, " {name}{value}");
        }
    };
    let date = |date: Option<Date>| date.map(Date::text).unwrap_or_default();
    let number = |number: Option<u64>| number.map(|it| it.to_string()).unwrap_or_default();
    put("=", row.same_as.as_deref().unwrap_or_default());
    put("n=", &row.name.as_deref().unwrap_or_default().replace(' ', "_"));
    if row.kind != ModelKind::Chat {
        put("k=", row.kind.as_str());
    }
    put("r=", &date(row.released));
    put("x=", &date(row.ends));
    put("i=", &number(row.max_input));
    put("o=", &number(row.max_output));
    put("c=", &number(row.context));
    put("+", &row.can.letters());
    put("-", &row.cannot.letters());
    put("ef=", &words(row.efforts));
    put("de=", row.default_effort.map(Effort::as_str).unwrap_or_default());
    put("ep=", &row.endpoints);
    if !row.inputs.is_empty() || !row.outputs.is_empty() {
        put("m=", &format!("{}>{}", row.inputs, row.outputs));
    }
    put("cm=", &number(row.cache_minimum));
    put("dim=", &number(row.dimensions));
    put("s=", &row.snapshots.join(","));
    out.push('\n');
    for price in &row.prices {
        let from = price.from.map_or_else(|| "*".to_owned(), Date::text);
        let _ = write!(out, "\t{from} {}", price.sources);
        rates::write_price(price, out);
        out.push('\n');
    }
}

/// The words of a price, without its day and sources.
pub(crate) fn price_words(price: &PriceRow) -> String {
    let mut out = String::new();
    rates::write_price(price, &mut out);
    out.trim_start().to_owned()
}

/// The words of a price that no row has.
pub(crate) fn standard_rates(price: &Price) -> String {
    let mut out = String::new();
    let fees = price.variants.as_ref().map_or(UnitFees::NONE, |variants| variants.units);
    rates::write_rate_words(price, &fees, &mut out);
    out.trim_start().to_owned()
}

fn words(efforts: EffortSet) -> String {
    let words: Vec<_> = efforts.iter().map(Effort::as_str).collect();
    words.join(",")
}

/// Reads a row: its line, and the indented lines after it.
pub fn parse_row(text: &str) -> Result<ModelRow, TextError> {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let mut row = parse_head(head)?;
    for line in lines {
        row.prices.push(parse_price(line.trim_start())?);
    }
    Ok(row)
}

fn wrong(line: &str, word: &str) -> TextError {
    let line = line.chars().take(60).collect();
    TextError { line, word: word.to_owned() }
}

fn parse_head(line: &str) -> Result<ModelRow, TextError> {
    let mut fields = line.split(' ');
    let key = fields.next().unwrap_or_default();
    let Some((provider, id)) =
        key.split_once('/').filter(|(it, id)| !it.is_empty() && !id.is_empty())
    else {
        return Err(wrong(line, key));
    };
    let mut row = ModelRow::new(provider, id);
    for field in fields {
        parse_field(&mut row, field).ok_or_else(|| wrong(line, field))?;
    }
    Ok(row)
}

fn parse_field(row: &mut ModelRow, field: &str) -> Option<()> {
    if let Some(same) = field.strip_prefix('=') {
        row.same_as = Some(same.to_owned());
        return Some(());
    }
    if let Some(letters) = field.strip_prefix('+') {
        row.can = AbilitySet::parse(letters)?;
        return Some(());
    }
    if let Some(letters) = field.strip_prefix('-') {
        row.cannot = AbilitySet::parse(letters)?;
        return Some(());
    }
    let (name, value) = field.split_once('=')?;
    let number = || value.parse::<u64>().ok();
    match name {
        "n" => row.name = Some(value.replace('_', " ")),
        "k" => row.kind = ModelKind::parse(value)?,
        "r" => row.released = Some(Date::parse(value)?),
        "x" => row.ends = Some(Date::parse(value)?),
        "i" => row.max_input = Some(number()?),
        "o" => row.max_output = Some(number()?),
        "c" => row.context = Some(number()?),
        "ef" => row.efforts = efforts(value)?,
        "de" => row.default_effort = Some(Effort::parse(value)?),
        "ep" => value.clone_into(&mut row.endpoints),
        "m" => {
            let (inputs, outputs) = value.split_once('>')?;
            inputs.clone_into(&mut row.inputs);
            outputs.clone_into(&mut row.outputs);
        }
        "cm" => row.cache_minimum = Some(number()?),
        "dim" => row.dimensions = Some(number()?),
        "s" => row.snapshots = value.split(',').map(str::to_owned).collect(),
        _ => return None,
    }
    Some(())
}

/// Reads efforts, separated by commas.
pub(crate) fn efforts(words: &str) -> Option<EffortSet> {
    let mut set = EffortSet::EMPTY;
    for word in words.split(',') {
        set = set.with(EffortSet::of(&[Effort::parse(word)?]));
    }
    Some(set)
}

fn parse_price(line: &str) -> Result<PriceRow, TextError> {
    let mut words = line.split(' ');
    let from = match words.next() {
        Some("*") => None,
        Some(day) => Some(Date::parse(day).ok_or_else(|| wrong(line, day))?),
        None => return Err(wrong(line, "")),
    };
    let sources = words.next().unwrap_or_default().to_owned();
    rates::parse_price(from, sources, words).map_err(|word| wrong(line, &word.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "openai/gpt-5.4 n=GPT_5.4 r=2026-03-05 x=2027-09-02 i=1050000 o=128000 \
                       +tPvj -s ef=none,low,high de=none ep=crb m=ti>t cm=1024 s=gpt-5.4-2026-03-05\n\
                       \t* lg i=2.5 o=15 cr=.25 >272000 i=5 o=22.5 cr=.5 flex i=1.25 o=7.5 >272000 i=2.5 o=11.25\n\
                       \t2026-12-01 o i=3 o=15 req=.01 img=.04 off@12345/00:00-01:00,10:00-24:00@67/00:00-24:00 i=1.5\n";

    #[test]
    fn row_is_written_as_it_is_read() {
        let row = parse_row(ROW).unwrap();
        let mut text = String::new();
        write_row(&row, &mut text);
        assert_eq!(text, ROW);
        assert_eq!(parse_row(&text).unwrap(), row);
        assert_eq!(row.name.as_deref(), Some("GPT 5.4"));
    }

    #[test]
    fn malformed_row_is_refused_by_line() {
        for (text, word) in [
            ("gpt-5", "gpt-5"),
            ("a/b q=1", "q=1"),
            ("a/b i=x", "i=x"),
            ("a/b r=2026-13-01", "r=2026-13-01"),
            ("a/b +?", "+?"),
            ("a/b\n\tsoon l i=1", "soon"),
            ("a/b\n\t* l i=1e3", "i=1e3"),
            ("a/b\n\t* l zz=1", "zz=1"),
            ("a/b\n\t* l i=1 off@8/00:00-01:00 i=1", "off@8/00:00-01:00"),
            ("a/b\n\t* l i=1 off@1/01:00-00:00 i=1", "off@1/01:00-00:00"),
            ("a/b\n\t* l i=1 off@1/00:00-24:01 i=1", "off@1/00:00-24:01"),
        ] {
            assert_eq!(parse_row(text).unwrap_err().word, word, "{text}");
        }
    }
}
