//! A YAML file as a tree whose every value knows where it stands, so that a mistake can be named by line and key.

use crate::exit::UsageError;
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use std::path::Path;

/// A value and the keys that lead to it.
#[derive(Clone)]
pub struct Node<'a> {
    yaml: &'a MarkedYaml<'a>,
    file: &'a Path,
    key: String,
}

/// The documents of a file; there is one in a configuration.
pub fn parse<'a>(file: &Path, text: &'a str) -> Result<Vec<MarkedYaml<'a>>, UsageError> {
    // Some editors begin a file with a mark that is no YAML.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    MarkedYaml::load_from_str(text).map_err(|error| {
        let (line, what) = (error.marker().line(), error.info());
        UsageError(format!("{}: line {line}: not YAML: {what}", file.display()))
    })
}

impl<'a> Node<'a> {
    pub fn root(file: &'a Path, yaml: &'a MarkedYaml<'a>) -> Node<'a> {
        Node { yaml, file, key: String::new() }
    }

    /// The value of a key, also one that is merged in by `<<`. An empty value is none.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        let yaml = lookup(self.yaml, key).filter(|yaml| !is_empty(yaml))?;
        Some(self.child(yaml, key))
    }

    /// What must be there.
    pub fn need(&self, key: &str) -> Result<Node<'a>, UsageError> {
        self.get(key).ok_or_else(|| self.wrong(&format!("{key} is missing")))
    }

    /// Keys and values of a mapping, in the file's order.
    pub fn entries(&self) -> Result<Vec<(String, Node<'a>)>, UsageError> {
        let YamlData::Mapping(mapping) = &self.yaml.data else {
            return Err(self.wrong("want keys, each with a value below it"));
        };
        let entries = mapping.iter().filter_map(|(name, value)| Some((plain(name)?, value)));
        let own = entries.filter(|(name, _)| name != "<<");
        Ok(own.map(|(name, value)| (name.clone(), self.child(value, &name))).collect())
    }

    /// A list, or a single value as a list of one.
    pub fn items(&self) -> Vec<Node<'a>> {
        match &self.yaml.data {
            YamlData::Sequence(items) => {
                items.iter().enumerate().map(|(i, item)| self.child(item, &i.to_string())).collect()
            }
            _ => vec![self.clone()],
        }
    }

    pub fn text(&self) -> Result<String, UsageError> {
        plain(self.yaml).ok_or_else(|| self.wrong("want text"))
    }

    pub fn number(&self) -> Result<f64, UsageError> {
        let number = match self.scalar() {
            Some(Scalar::Integer(number)) => Some(*number as f64),
            Some(Scalar::FloatingPoint(number)) => Some(number.0),
            // In quotation marks.
            Some(Scalar::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number: &f64| number.is_finite()).ok_or_else(|| self.wrong("want a number"))
    }

    pub fn is_true(&self) -> Result<bool, UsageError> {
        match self.scalar() {
            Some(Scalar::Boolean(value)) => Ok(*value),
            _ => Err(self.wrong("want true or false")),
        }
    }

    /// A mistake at this place.
    pub fn wrong(&self, what: &str) -> UsageError {
        let (file, line) = (self.file.display(), self.yaml.span.start.line());
        match self.key.as_str() {
            "" => UsageError(format!("{file}: line {line}: {what}")),
            key => UsageError(format!("{file}: line {line}: {key}: {what}")),
        }
    }

    fn child(&self, yaml: &'a MarkedYaml<'a>, name: &str) -> Node<'a> {
        let key = if self.key.is_empty() { name.to_string() } else { format!("{}.{name}", self.key) };
        Node { yaml, file: self.file, key }
    }

    fn scalar(&self) -> Option<&'a Scalar<'a>> {
        match &self.yaml.data {
            YamlData::Value(scalar) => Some(scalar),
            _ => None,
        }
    }
}

fn lookup<'a>(yaml: &'a MarkedYaml<'a>, key: &str) -> Option<&'a MarkedYaml<'a>> {
    let YamlData::Mapping(mapping) = &yaml.data else { return None };
    let find = |wanted: &str| {
        let mut entries = mapping.iter();
        entries.find_map(|(name, value)| (plain(name).as_deref() == Some(wanted)).then_some(value))
    };
    find(key).or_else(|| match find("<<").map(|merged| (merged, &merged.data)) {
        Some((_, YamlData::Sequence(several))) => several.iter().find_map(|one| lookup(one, key)),
        Some((merged, _)) => lookup(merged, key),
        None => None,
    })
}

fn is_empty(yaml: &MarkedYaml) -> bool {
    matches!(&yaml.data, YamlData::Value(Scalar::Null))
}

/// A scalar as it is written, more or less.
fn plain(yaml: &MarkedYaml) -> Option<String> {
    match &yaml.data {
        YamlData::Value(Scalar::String(text)) => Some(text.to_string()),
        YamlData::Value(Scalar::Integer(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::FloatingPoint(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::Boolean(value)) => Some(value.to_string()),
        _ => None,
    }
}
