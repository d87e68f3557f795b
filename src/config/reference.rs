//! Writes `config/schema.json` and `config/reference.md` from the doc comments of the file format.
//!
//! Both are committed, and a test fails when they differ from what is written here.

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::file::File;

/// The file format as JSON Schema (draft 2020-12), for editors.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .for_deserialize()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let mut schema = generator.into_root_schema_for::<File>().to_value();
    remove_nulls(&mut schema);
    schema
}

/// The file format as a page to read.
pub fn page() -> String {
    let schema = schema();
    let mut page = String::from(
        "# Configuration reference\n\n<!-- Made from src/config/file.rs; change it there. -->\n\n",
    );
    page.push_str(&text(&schema, "description"));
    page.push('\n');
    write_tables(&schema, "", &mut page);
    page
}

/// TOML has no null: an optional key is absent.
fn remove_nulls(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            unwrap_nullable(object);
            object.values_mut().for_each(remove_nulls);
        }
        Value::Array(values) => {
            values.retain(|value| !value.is_null());
            values.iter_mut().for_each(remove_nulls);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `anyOf: [X, null]` becomes X.
fn unwrap_nullable(object: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}

/// All tables below `schema`, each with its keys, in the order in which they are declared.
fn write_tables(schema: &Value, path: &str, page: &mut String) {
    for (name, property) in properties(schema) {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let (table, heading) = match (property.get("properties"), property.get("items")) {
            (Some(_), _) => (property, format!("[{path}]")),
            (None, Some(items)) if items.get("properties").is_some() => {
                (items, format!("[[{path}]]"))
            }
            (None, _) => continue,
        };
        let keys: Vec<_> = properties(table)
            .filter(|(_, key)| !is_table(key))
            .collect();
        let doc = text(property, "description");
        if !keys.is_empty() {
            let _ = write!(page, "\n## `{heading}`\n\n{doc}\n");
        }
        for (name, key) in keys {
            let required = required(table).any(|required| required == name);
            write_key(&path, name, key, required, page);
        }
        write_tables(table, &path, page);
    }
}

fn write_key(table: &str, name: &str, key: &Value, required: bool, page: &mut String) {
    let default = match key.get("default") {
        Some(default) => format!(", default `{}`", toml_text(default)),
        None if required => ", required".to_owned(),
        None => ", optional".to_owned(),
    };
    let _ = write!(
        page,
        "\n### `{table}.{name}`\n\n{}{default}\n\n{}\n",
        kind(key),
        text(key, "description"),
    );
    let mut choices = choices(key).peekable();
    if choices.peek().is_some() {
        page.push('\n');
    }
    for (value, doc) in choices {
        let _ = match doc {
            Some(doc) => writeln!(page, "- `{}`: {}", toml_text(value), doc.replace('\n', " ")),
            None => writeln!(page, "- `{}`", toml_text(value)),
        };
    }
    if let Some(example) = example(key) {
        let _ = write!(page, "\n```toml\n{name} = {}\n```\n", toml_text(example));
    }
}

/// What type a key has.
fn kind(key: &Value) -> String {
    if let Some(items) = key.get("items") {
        return format!("list of {}", plural(&kind(items)));
    }
    if choices(key).next().is_some() {
        return "one word".to_owned();
    }
    match text(key, "title") {
        none if none.is_empty() => text(key, "type"),
        title => title,
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "one word" => "words".to_owned(),
        other if other.ends_with("ss") => format!("{other}es"),
        other => format!("{other}s"),
    }
}

/// The words that a key, or the elements of a list, may have, with their descriptions.
fn choices(key: &Value) -> impl Iterator<Item = (&Value, Option<&str>)> {
    let key = key.get("items").unwrap_or(key);
    let list = |name: &str| {
        key.get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let described = list("oneOf").filter_map(|choice| {
        let value = choice.get("const")?;
        Some((value, choice.get("description").and_then(Value::as_str)))
    });
    described.chain(list("enum").map(|value| (value, None)))
}

fn example(key: &Value) -> Option<&Value> {
    key.get("examples")?.as_array()?.first()
}

fn is_table(key: &Value) -> bool {
    key.get("properties").is_some() || key.get("items").is_some_and(is_table)
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

fn text(schema: &Value, key: &str) -> String {
    schema
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Strings, numbers and booleans are written in TOML as in JSON.
fn toml_text(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(toml_text).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(table) => {
            let pairs: Vec<String> = table
                .iter()
                .map(|(name, value)| format!("{name} = {}", toml_text(value)))
                .collect();
            match pairs.as_slice() {
                [] => "{}".to_owned(),
                pairs => format!("{{ {} }}", pairs.join(", ")),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Compares with the committed file, or writes it when `GATEHOUSE_BLESS` is set.
    fn assert_committed(name: &str, content: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("config")
            .join(name);
        if std::env::var_os("GATEHOUSE_BLESS").is_some() {
            std::fs::write(&path, content).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == content,
            "config/{name} is not what src/config/file.rs says; write it with GATEHOUSE_BLESS=1 cargo test --lib config"
        );
    }

    /// Calls `visit` with the path of each key's table, the headers that open it, the key and its schema.
    fn each_key(
        schema: &Value,
        path: &str,
        headers: &str,
        visit: &mut impl FnMut(&str, &str, &str, &Value),
    ) {
        for (name, key) in properties(schema) {
            let inner = format!("{path}.{name}").trim_start_matches('.').to_owned();
            if key.get("properties").is_some() {
                each_key(key, &inner, &format!("{headers}[{inner}]\n"), visit);
            } else if is_table(key) {
                each_key(
                    &key["items"],
                    &inner,
                    &format!("{headers}[[{inner}]]\n"),
                    visit,
                );
            } else {
                visit(path, headers, name, key);
            }
        }
    }

    #[test]
    fn the_committed_schema_is_current() {
        assert_committed("schema.json", &format!("{:#}\n", schema()));
    }

    #[test]
    fn the_committed_reference_is_current() {
        assert_committed("reference.md", &page());
    }

    #[test]
    fn what_is_required_exists() {
        fn assert_known(schema: &Value) {
            for name in required(schema) {
                assert!(
                    properties(schema).any(|(property, _)| property == name),
                    "{name}"
                );
            }
            properties(schema)
                .for_each(|(_, inner)| assert_known(inner.get("items").unwrap_or(inner)));
        }
        assert_known(&schema());
    }

    #[test]
    fn every_key_has_a_description_and_an_example_that_is_accepted() {
        let page = page();
        let mut seen = 0;
        each_key(&schema(), "", "", &mut |table, headers, name, key| {
            assert!(
                page.contains(&format!("### `{table}.{name}`")),
                "{table}.{name} is not in the reference"
            );
            assert!(
                !text(key, "description").is_empty(),
                "{table}.{name} has no description"
            );
            let example = example(key).unwrap_or_else(|| panic!("{table}.{name} has no example"));
            let document = format!("{headers}{name} = {}\n", toml_text(example));
            let read: Result<File, _> = toml::from_str(&document);
            assert!(read.is_ok(), "{document}{}", read.unwrap_err());
            seen += 1;
        });
        assert!(seen > 30);
    }
}
