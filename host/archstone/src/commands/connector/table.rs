//! What a server says, for people. Names are others' to choose: what would move a terminal's cursor
//! is shown escaped.

use serde_json::Value;

/// A line for each object, under the names of these properties.
pub(super) fn rows(properties: &[&str], objects: &[Value]) -> String {
    let titles = properties.iter().map(|&title| title.to_owned()).collect();
    let lines = objects.iter().map(|object| {
        let shown = properties.iter().map(|&property| shown(&object[property]));
        shown.collect()
    });
    aligned(&std::iter::once(titles).chain(lines).collect::<Vec<_>>())
}

/// A line for each property of an object.
pub(super) fn properties(object: &Value) -> String {
    let properties = object.as_object().into_iter().flatten();
    let lines = properties
        .filter(|(property, _)| *property != "links")
        .map(|(property, value)| vec![property.clone(), shown(value)]);
    aligned(&lines.collect::<Vec<_>>())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        // JSON escapes control characters, but not all that are.
        other => printable(&other.to_string()),
    }
}

/// A text without control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character.is_control() {
            true => character.escape_default().to_string(),
            false => character.to_string(),
        })
        .collect()
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, &width)| {
            let padding = width.saturating_sub(cell.chars().count());
            format!("{cell}{}", " ".repeat(padding))
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_controls_are_escaped() {
        let connectors = [
            json!({"name": "a", "enabled": true}),
            json!({"name": "our\u{1b}[2Jpeople", "enabled": false}),
        ];
        assert_eq!(
            rows(&["name", "enabled"], &connectors),
            [
                "name                enabled",
                "a                   true",
                "our\\u{1b}[2Jpeople  false",
            ]
            .join("\n")
        );
    }

    #[test]
    fn an_object_is_a_line_for_each_property() {
        let told = json!({"id": "1", "secrets": ["key"], "error": null, "links": {}});
        assert_eq!(properties(&told), "id       1\nsecrets  [\"key\"]\nerror");
    }
}
