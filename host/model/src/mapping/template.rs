//! The right side of a rule: text with `{0}`, `{1}`, ... for what the left side matched.

use super::MappingError;

/// What each requirement matched, in order.
#[derive(Debug, Default)]
pub(super) struct Matches(Vec<Vec<String>>);

impl Matches {
    pub(super) fn push(&mut self, values: Vec<String>) {
        self.0.push(values);
    }

    pub(super) fn get(&self, number: usize) -> Result<&[String], MappingError> {
        self.0.get(number).map(Vec::as_slice).ok_or_else(|| {
            MappingError::Faulty(format!(
                "a local section refers to {{{number}}}, and there is no such remote match"
            ))
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Match(usize),
}

/// Text with the matches put in. Several values, or none, are written as a list.
pub(super) fn fill(template: &str, matches: &Matches) -> Result<String, MappingError> {
    let mut filled = String::new();
    for piece in pieces(template)? {
        match piece {
            Piece::Text(text) => filled.push_str(&text),
            Piece::Match(number) => match matches.get(number)? {
                [only] => filled.push_str(only),
                several => filled.push_str(&written_as_list(several)),
            },
        }
    }
    Ok(filled)
}

/// As [`fill`], for what names somebody or something: a match of which nothing is left gives no
/// name, or all whose values were filtered out would be one.
pub(super) fn fill_name(template: &str, matches: &Matches) -> Result<String, MappingError> {
    for piece in pieces(template)? {
        if let Piece::Match(number) = piece
            && matches.get(number)?.is_empty()
        {
            return Err(MappingError::NotMapped(format!(
                "nothing is left of what {{{number}}} matched, and a name is made of it"
            )));
        }
    }
    fill(template, matches)
}

/// The texts that `groups` and `group_ids` stand for: the values of one match, a list that the
/// rule's author wrote, or one text. A value that only looks like a list is one text, or whoever
/// chooses it would get past a blacklist.
pub(super) fn fill_list(template: &str, matches: &Matches) -> Result<Vec<String>, MappingError> {
    if let [Piece::Match(number)] = pieces(template)?.as_slice() {
        return Ok(matches.get(*number)?.to_vec());
    }
    match read_list(template) {
        Some(items) => items.iter().map(|item| fill(item, matches)).collect(),
        None => Ok(vec![fill(template, matches)?]),
    }
}

/// Takes a template apart. Doubled braces are plain ones; `{}` counts by itself.
fn pieces(template: &str) -> Result<Vec<Piece>, MappingError> {
    let faulty = || MappingError::Faulty(format!("{template:?} is not text with matches"));
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut counted = 0;
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        if let Some(after) = from.strip_prefix("{{") {
            text.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            text.push('}');
            rest = after;
        } else {
            let inner = from.strip_prefix('{').ok_or_else(faulty)?;
            let (number, after) = inner.split_once('}').ok_or_else(faulty)?;
            let number = match number {
                "" => {
                    counted += 1;
                    counted - 1
                }
                digits if digits.bytes().all(|byte| byte.is_ascii_digit()) && counted == 0 => {
                    digits.parse().map_err(|_| faulty())?
                }
                _ => return Err(faulty()),
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Match(number));
            rest = after;
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// Writes values as Python writes a list of texts, which is how Keystone shows several where one
/// was wanted.
fn written_as_list(values: &[String]) -> String {
    let written: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    format!("[{}]", written.join(", "))
}

fn quoted(value: &str) -> String {
    let quote = if value.contains('\'') && !value.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut written = String::from(quote);
    for c in value.chars() {
        match c {
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            c if c == quote => written.extend(['\\', c]),
            c if c.is_control() => written.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => written.push(c),
        }
    }
    written.push(quote);
    written
}

/// Reads `['a', "b"]`, a list of texts as Python writes it.
fn read_list(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (item, after) = read_quoted(rest)?;
        items.push(item);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(items)
}

fn read_quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut read = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => match characters.next()?.1 {
                'n' => read.push('\n'),
                't' => read.push('\t'),
                'r' => read.push('\r'),
                c @ ('\\' | '\'' | '"') => read.push(c),
                _ => return None,
            },
            c if c == quote => return Some((read, &text[at + 1..])),
            c => read.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(values: &[&[&str]]) -> Matches {
        let texts = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        Matches(values.iter().map(|values| texts(values)).collect())
    }

    #[test]
    fn a_value_that_looks_like_a_list_is_not_taken_apart() {
        let matches = matches(&[&["['admins', 'staff']"]]);
        assert_eq!(fill_list("{0}", &matches).unwrap(), ["['admins', 'staff']"]);
    }

    #[test]
    fn a_value_cannot_break_out_of_a_written_list() {
        let matches = matches(&[&["x', 'admins"]]);
        let filled = fill_list("['{0}', 'staff']", &matches).unwrap();
        assert_eq!(filled, ["x', 'admins", "staff"]);
    }

    #[test]
    fn nobody_is_named_after_an_empty_match() {
        let matches = matches(&[&[]]);
        assert!(matches!(
            fill_name("{0}", &matches),
            Err(MappingError::NotMapped(_))
        ));
        assert_eq!(fill_list("{0}", &matches).unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_number_is_a_fault_of_the_mapping() {
        let matches = matches(&[&["x"]]);
        for template in [
            "{name}",
            "{0.__class__}",
            "{0!r}",
            "{",
            "}",
            "{1}",
            "{}{0}",
            "{99999999999999999999}",
        ] {
            assert!(
                matches!(fill(template, &matches), Err(MappingError::Faulty(_))),
                "{template}"
            );
        }
    }
}
