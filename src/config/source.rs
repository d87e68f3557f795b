//! The text of a configuration file and where each of its keys is: from bytes to line, column and key path.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

/// The file, and every key and element in it.
pub(super) struct Source<'a> {
    /// Its name.
    pub path: PathBuf,
    text: &'a str,
    nodes: Vec<Node>,
}

/// One key with its value, or one element of a list.
struct Node {
    path: String,
    /// Absent for an element of a list.
    key: Option<Range<usize>>,
    /// For a table with a header, the header.
    value: Range<usize>,
}

/// A place, for a person to find.
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

impl<'a> Source<'a> {
    /// Notes the place of everything in `root`.
    pub(super) fn new(path: &Path, text: &'a str, root: &DeTable<'_>) -> Self {
        let mut nodes = Vec::new();
        note_table(root, "", &mut nodes);
        Self {
            path: path.to_owned(),
            text,
            nodes,
        }
    }

    /// Line and column, counted from 1.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The bytes as written.
    pub(super) fn slice(&self, span: &Range<usize>) -> Option<&'a str> {
        self.text.get(span.clone())
    }

    /// Path of the outermost key or value at exactly these bytes: the whole of `[[route]]` rather than
    /// its first element, which has the same header.
    pub(super) fn outermost(&self, span: &Range<usize>) -> Option<&str> {
        self.nodes
            .iter()
            .find(|node| node.is_at(span))
            .map(|node| node.path.as_str())
    }

    /// Path of the innermost key or value at exactly these bytes.
    pub(super) fn innermost(&self, span: &Range<usize>) -> Option<&str> {
        self.nodes
            .iter()
            .rfind(|node| node.is_at(span))
            .map(|node| node.path.as_str())
    }

    /// Whether these bytes are a value: not a key, nor a table that exists by a dotted key alone.
    pub(super) fn is_value(&self, span: &Range<usize>) -> bool {
        self.nodes
            .iter()
            .any(|node| node.value == *span && node.key.as_ref() != Some(span))
    }

    /// Whether the file has a key or element at this path.
    pub(super) fn has(&self, path: &str) -> bool {
        self.nodes.iter().any(|node| node.path == path)
    }

    /// Whether the table at this path has any key.
    pub(super) fn has_below(&self, path: &str) -> bool {
        self.nodes.iter().any(|node| {
            node.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// How many keys and elements there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }
}

impl Node {
    fn is_at(&self, span: &Range<usize>) -> bool {
        self.value == *span || self.key.as_ref() == Some(span)
    }
}

fn note_table(table: &DeTable<'_>, path: &str, nodes: &mut Vec<Node>) {
    for (key, value) in table.iter() {
        let name = key.get_ref();
        let path = if path.is_empty() {
            name.to_string()
        } else {
            format!("{path}.{name}")
        };
        nodes.push(Node {
            path: path.clone(),
            key: Some(key.span()),
            value: value.span(),
        });
        note_value(value.get_ref(), &path, nodes);
    }
}

fn note_value(value: &DeValue<'_>, path: &str, nodes: &mut Vec<Node>) {
    if let Some(table) = value.as_table() {
        note_table(table, path, nodes);
    }
    for (index, element) in value
        .as_array()
        .into_iter()
        .flat_map(|array| array.iter().enumerate())
    {
        let path = format!("{path}[{index}]");
        nodes.push(Node {
            path: path.clone(),
            key: None,
            value: element.span(),
        });
        note_value(element.get_ref(), &path, nodes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "\"é\" = 1\n[[route]]\nhost = \"a\"\nmethods = [\"GET\", 5]\n";
        let root = DeTable::parse(text).unwrap();
        let source = Source::new(Path::new("x.toml"), text, root.get_ref());
        let span = |what: &str| text.find(what).map(|at| at..at + what.len()).unwrap();
        let place = source.place(&span("1"));
        assert_eq!((place.line, place.column), (1, 7));
        let place = source.place(&span("5"));
        assert_eq!((place.line, place.column), (4, 19));
        assert_eq!(source.innermost(&span("5")), Some("route[0].methods[1]"));
        assert_eq!(source.outermost(&span("[[route]]")), Some("route"));
        assert_eq!(source.innermost(&span("[[route]]")), Some("route[0]"));
        assert!(!source.is_value(&span("host")));
        assert!(source.is_value(&span("\"a\"")));
    }
}
