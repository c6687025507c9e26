//! An answer with its parts, written once and shown twice: as text for people, as JSON for
//! programs.
//!
//! A [`Report`] is a list of named facts, tables and parts. The invariant: both spellings come from
//! the same items, so nothing is said to people that programs cannot read, and the order is the
//! same.

use crate::text::clean;
use crate::text::screen::{Look, Style};
use crate::text::table::{self, Align};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A value for programs. Amounts and hashes are texts; JSON numbers lose digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// Nothing is known.
    Null,
    /// Yes or no.
    Flag(bool),
    /// A small number.
    Number(u64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// Named values.
    Record(Vec<(&'static str, Self)>),
}

impl From<bool> for Datum {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Datum {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Datum {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<&str> for Datum {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Datum {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Datum {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> FromIterator<T> for Datum {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Datum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Record(fields) => {
                serializer.collect_map(fields.iter().map(|(key, value)| (key, value)))
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Fact { key: &'static str, label: &'static str, text: String, datum: Datum },
    Table { key: &'static str, label: &'static str, lines: Vec<String>, datum: Datum },
    Part { key: &'static str, part: Report },
    Parts { key: &'static str, parts: Vec<Report> },
    Note { text: String },
}

/// An answer, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    kind: &'static str,
    title: String,
    items: Vec<Item>,
}

impl Report {
    /// An empty report. `kind` is for programs, `title` for people.
    #[must_use]
    pub fn new(kind: &'static str, title: impl Into<String>) -> Self {
        Self { kind, title: clean(&title.into()), items: Vec::new() }
    }

    /// What it is about, for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// Adds a name for programs; people read it in the title.
    pub fn name(&mut self, name: &str) {
        let (lines, datum) = (Vec::new(), name.into());
        self.items.push(Item::Table { key: "name", label: "", lines, datum });
    }

    /// Adds a fact that people and programs read alike.
    pub fn fact(&mut self, key: &'static str, label: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.fact_as(key, label, text.clone(), text);
    }

    /// Adds a fact that programs read otherwise.
    pub fn fact_as(
        &mut self,
        key: &'static str,
        label: &'static str,
        text: impl Into<String>,
        datum: impl Into<Datum>,
    ) {
        let (text, datum) = (clean(&text.into()), datum.into());
        self.items.push(Item::Fact { key, label, text, datum });
    }

    /// Adds a table. A table without rows is for programs only.
    pub fn table(
        &mut self,
        key: &'static str,
        label: &'static str,
        columns: &[Align],
        rows: &[Vec<String>],
        datum: Datum,
    ) {
        let lines = table::lines(columns, rows);
        self.items.push(Item::Table { key, label, lines, datum });
    }

    /// Adds a part of its own.
    pub fn part(&mut self, key: &'static str, part: Self) {
        self.items.push(Item::Part { key, part });
    }

    /// Adds a list of parts.
    pub fn parts(&mut self, key: &'static str, parts: Vec<Self>) {
        self.items.push(Item::Parts { key, parts });
    }

    /// Adds a remark.
    pub fn note(&mut self, text: impl Into<String>) {
        self.items.push(Item::Note { text: clean(&text.into()) });
    }

    /// For people.
    #[must_use]
    pub fn text(&self, look: Look) -> String {
        let mut out = String::new();
        self.write(look, 0, &mut out);
        out
    }

    /// For programs: one line.
    #[must_use]
    pub fn json(&self) -> String {
        // Maps with text keys, texts and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn write(&self, look: Look, depth: usize, out: &mut String) {
        let margin = "  ".repeat(depth);
        let mut line = |text: String| {
            let text = format!("{margin}{text}");
            out.push_str(text.trim_end());
            out.push('\n');
        };
        line(look.paint(Style::Bold, &self.title));
        let labels = self.items.iter().filter_map(|item| match item {
            Item::Fact { label, .. } => Some(label.chars().count()),
            _ => None,
        });
        let width = labels.max().unwrap_or_default();
        for item in &self.items {
            match item {
                Item::Fact { label, text, .. } => {
                    let label = look.paint(Style::Dim, &format!("{label:<width$}"));
                    line(format!("  {label}  {text}"));
                }
                Item::Table { label, lines, .. } if !lines.is_empty() => {
                    line(format!("  {}", look.paint(Style::Dim, label)));
                    lines.iter().for_each(|row| line(format!("    {row}")));
                }
                Item::Note { text } => line(format!("  {text}")),
                Item::Table { .. } | Item::Part { .. } | Item::Parts { .. } => {}
            }
        }
        // Parts stand below everything that is said of the whole.
        for item in &self.items {
            let parts = match item {
                Item::Part { part, .. } => core::slice::from_ref(part),
                Item::Parts { parts, .. } => parts,
                _ => &[],
            };
            for part in parts {
                out.push('\n');
                part.write(look, depth + 1, out);
            }
        }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.kind)?;
        for item in &self.items {
            match item {
                Item::Fact { key, datum, .. } | Item::Table { key, datum, .. } => {
                    map.serialize_entry(key, datum)?;
                }
                Item::Part { key, part } => map.serialize_entry(key, part)?,
                Item::Parts { key, parts } => map.serialize_entry(key, parts)?,
                Item::Note { .. } => {}
            }
        }
        let notes: Vec<&str> = self.items.iter().filter_map(note).collect();
        map.serialize_entry("notes", &notes)?;
        map.end()
    }
}

fn note(item: &Item) -> Option<&str> {
    match item {
        Item::Note { text } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut part = Report::new("part", "A part");
        part.fact("name", "name", "alice");
        let mut report = Report::new("whole", "The whole");
        report.fact_as("fee", "fee", "12.5 CKB", "1250000000");
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["bb".to_owned(), "22".to_owned()]];
        let datum: Datum = [1_u64, 22].into_iter().collect();
        report.table("rows", "rows", &[Align::Left, Align::Right], &rows, datum);
        report.parts("parts", vec![part]);
        report.fact_as("size", "size in bytes", "9", 9_u64);
        report.note("A remark.");
        report
    }

    #[test]
    fn people_see_aligned_facts_and_then_the_parts() {
        let expected = "The whole
  fee            12.5 CKB
  rows
    a    1
    bb  22
  size in bytes  9
  A remark.

  A part
    name  alice
";
        assert_eq!(report().text(Look::PLAIN), expected);
    }

    #[test]
    fn programs_see_the_same_in_the_same_order() {
        let expected = concat!(
            r#"{"kind":"whole","fee":"1250000000","rows":[1,22],"#,
            r#""parts":[{"kind":"part","name":"alice","notes":[]}],"size":9,"notes":["A remark."]}"#
        );
        assert_eq!(report().json(), expected);
    }
}
