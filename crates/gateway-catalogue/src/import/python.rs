//! Literals of Python: calls with named arguments, lists, texts and numbers, as JSON.
//!
//! `Provider(id='x', prices=[Decimal('1')])` becomes `{"$": "Provider", "id": "x", "prices": ["1"]}`.

use crate::error::CatalogueError;
use serde_json::{Map, Value};

/// Deeper literals are refused.
const MAX_DEPTH: usize = 64;

/// Reads the list that the assignment to `providers` holds.
pub(super) fn value(text: &str) -> Result<Value, CatalogueError> {
    let begin = text.find("] = [").map(|at| at + 4);
    let rest = begin.and_then(|at| text.get(at..)).ok_or_else(|| wrong("no list of providers"))?;
    let mut reader = LiteralReader { rest };
    reader.value(0)
}

struct LiteralReader<'a> {
    rest: &'a str,
}

fn wrong(what: &str) -> CatalogueError {
    CatalogueError::Format(format!("Python literal: {what}"))
}

impl<'a> LiteralReader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: char) -> Result<(), CatalogueError> {
        if self.eat(token) {
            return Ok(());
        }
        let found: String = self.rest.chars().take(20).collect();
        Err(wrong(&format!("expected `{token}`, found `{found}`")))
    }

    fn word(&mut self) -> &'a str {
        self.skip_space();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn value(&mut self, depth: usize) -> Result<Value, CatalogueError> {
        if depth > MAX_DEPTH {
            return Err(wrong("nested too deeply"));
        }
        self.skip_space();
        match self.rest.chars().next() {
            Some('[') => self.list(depth, ']').map(Value::Array),
            Some('{') => self.dict(depth),
            Some('\'' | '"') => self.text().map(Value::String),
            Some(_) => self.word_or_call(depth),
            None => Err(wrong("it ends too early")),
        }
    }

    fn list(&mut self, depth: usize, end: char) -> Result<Vec<Value>, CatalogueError> {
        self.rest = self.rest.get(1..).unwrap_or_default();
        let mut items = Vec::new();
        while !self.eat(end) {
            items.push(self.value(depth + 1)?);
            if !self.eat(',') {
                self.expect(end)?;
                break;
            }
        }
        Ok(items)
    }

    fn dict(&mut self, depth: usize) -> Result<Value, CatalogueError> {
        self.rest = self.rest.get(1..).unwrap_or_default();
        let mut members = Map::new();
        while !self.eat('}') {
            self.skip_space();
            let name = self.text()?;
            self.expect(':')?;
            members.insert(name, self.value(depth + 1)?);
            if !self.eat(',') {
                self.expect('}')?;
                break;
            }
        }
        Ok(Value::Object(members))
    }

    fn text(&mut self) -> Result<String, CatalogueError> {
        let mut chars = self.rest.char_indices();
        let Some((_, quote)) = chars.next().filter(|(_, c)| matches!(c, '\'' | '"')) else {
            return Err(wrong("expected a text"));
        };
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                _ if c == quote => {
                    self.rest = self.rest.get(at + c.len_utf8()..).unwrap_or_default();
                    // Texts side by side are one.
                    self.skip_space();
                    if self.rest.starts_with(['\'', '"']) {
                        text += &self.text()?;
                    }
                    return Ok(text);
                }
                _ => text.push(c),
            }
        }
        Err(wrong("a text without an end"))
    }

    fn word_or_call(&mut self, depth: usize) -> Result<Value, CatalogueError> {
        let word = self.word();
        if self.eat('(') {
            return self.call(word, depth);
        }
        match word {
            "None" => Ok(Value::Null),
            "True" => Ok(true.into()),
            "False" => Ok(false.into()),
            "" => Err(wrong("expected a value")),
            _ => Ok(word.parse::<f64>().map_or_else(|_| word.into(), Value::from)),
        }
    }

    fn call(&mut self, name: &str, depth: usize) -> Result<Value, CatalogueError> {
        let mut members = Map::new();
        let mut plain = Vec::new();
        while !self.eat(')') {
            self.skip_space();
            let before = self.rest;
            let argument = self.word();
            if !argument.is_empty() && self.eat('=') {
                members.insert(argument.to_owned(), self.value(depth + 1)?);
            } else {
                self.rest = before;
                plain.push(self.value(depth + 1)?);
            }
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(match (name, plain.as_slice()) {
            ("Decimal", [number]) => number.clone(),
            ("datetime.date", [year, month, day]) => {
                let part = |value: &Value| value.as_f64().unwrap_or_default();
                format!("{:04}-{:02}-{:02}", part(year), part(month), part(day)).into()
            }
            ("datetime.time", [hour, minute, ..]) => {
                let part = |value: &Value| value.as_f64().unwrap_or_default();
                format!("{:02}:{:02}", part(hour), part(minute)).into()
            }
            _ => {
                members.insert("$".to_owned(), name.into());
                Value::Object(members)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_become_json() {
        let text = r#"
providers: list[Provider] = [
    Provider(
        id='a', name="it's", text='x' 'y',
        models=[Model(price=Decimal('0.5'), from_=datetime.date(2026, 12, 1), old=True, none=None)],
        when={'tier': 'flex'},
        window=1000,
    ),
]
"#;
        let expected = json!([{
            "$": "Provider", "id": "a", "name": "it's", "text": "xy",
            "models": [{ "$": "Model", "price": "0.5", "from_": "2026-12-01", "old": true, "none": null }],
            "when": { "tier": "flex" },
            "window": 1000.0,
        }]);
        assert_eq!(value(text).unwrap(), expected);
    }

    #[test]
    fn broken_literals_are_refused() {
        let deep = format!("x: list[A] = {}", "[".repeat(100));
        for text in
            ["", "x = 1", "x: list[A] = [", "x: list[A] = ['a", "x: list[A] = [A(b=)]", &deep]
        {
            assert!(value(text).is_err(), "{text}");
        }
    }
}
