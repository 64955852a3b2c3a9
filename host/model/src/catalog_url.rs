//! Templates in endpoint URLs: `$(project_id)s` and `%(project_id)s` stand for what the catalog is
//! made for. They are Python's format strings, so `%%` is a percent sign, and a conversion may have
//! flags, a width and a precision.

use std::fmt::Write as _;

/// What a template may refer to.
pub const REFERENCES: [&str; 5] = [
    "tenant_id",
    "project_id",
    "user_id",
    "compute_host",
    "public_endpoint",
];

/// A URL whose templates can be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate(Vec<Piece>);

/// A URL that no catalog can fill in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the URL is not a valid template")]
pub struct Malformed;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Reference(Reference),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reference {
    name: String,
    conversion: Conversion,
    align_left: bool,
    width: usize,
    precision: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conversion {
    /// As it is.
    Plain,
    /// As a Python literal.
    Quoted,
}

/// Wider than any URL may be.
const MOST_DIGITS: usize = 3;

impl UrlTemplate {
    /// # Errors
    /// [`Malformed`] where a conversion is not complete, does not fit text, or refers to something
    /// that is not among [`REFERENCES`].
    pub fn parse(url: &str) -> Result<Self, Malformed> {
        let url = url.replace("$(", "%(");
        let mut pieces = Vec::new();
        let mut rest = url.as_str();
        while let Some((before, after)) = rest.split_once('%') {
            pieces.push(Piece::Text(before.to_owned()));
            if let Some(tail) = after.strip_prefix('%') {
                pieces.push(Piece::Text("%".to_owned()));
                rest = tail;
            } else {
                let (reference, tail) = Reference::parse(after).ok_or(Malformed)?;
                pieces.push(Piece::Reference(reference));
                rest = tail;
            }
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The URL with `value` of every reference in its place; nothing where one has none.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Reference(reference) => {
                    reference.write(value(&reference.name)?, &mut filled);
                }
            }
        }
        Some(filled)
    }
}

impl Reference {
    /// Reads what comes after a percent sign.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let (name, rest) = text.strip_prefix('(')?.split_once(')')?;
        if !REFERENCES.contains(&name) {
            return None;
        }
        let after_flags = rest.trim_start_matches(['#', '0', '-', ' ', '+']);
        let flags = &rest[..rest.len() - after_flags.len()];
        let (width, rest) = number(after_flags)?;
        let (precision, rest) = match rest.strip_prefix('.') {
            Some(rest) => {
                let (digits, rest) = number(rest)?;
                (Some(digits), rest)
            }
            None => (None, rest),
        };
        let rest = rest.strip_prefix(['h', 'l', 'L']).unwrap_or(rest);
        let conversion = match rest.chars().next()? {
            's' => Conversion::Plain,
            'r' | 'a' => Conversion::Quoted,
            _ => return None,
        };
        let reference = Self {
            name: name.to_owned(),
            conversion,
            align_left: flags.contains('-'),
            width,
            precision,
        };
        Some((reference, &rest[1..]))
    }

    fn write(&self, value: &str, filled: &mut String) {
        let mut text = match self.conversion {
            Conversion::Plain => value.to_owned(),
            Conversion::Quoted => format!("'{value}'"),
        };
        if let Some(precision) = self.precision {
            text = text.chars().take(precision).collect();
        }
        let width = self.width;
        // Writing to a string does not fail.
        let _ = if self.align_left {
            write!(filled, "{text:<width$}")
        } else {
            write!(filled, "{text:>width$}")
        };
    }
}

/// The digits at the start of `text`, which may be none.
fn number(text: &str) -> Option<(usize, &str)> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    match digits.len() {
        0 => Some((0, rest)),
        1..=MOST_DIGITS => Some((digits.parse().ok()?, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(url: &str) -> Option<String> {
        UrlTemplate::parse(url)
            .ok()?
            .fill(|name| (name != "tenant_id").then_some("abc"))
    }

    #[test]
    fn both_kinds_of_reference_are_filled_in() {
        let url = filled("http://x/$(project_id)s/%(user_id)s/y");
        assert_eq!(url.as_deref(), Some("http://x/abc/abc/y"));
    }

    #[test]
    fn a_reference_without_a_value_leaves_the_url_out() {
        assert!(UrlTemplate::parse("http://x/$(tenant_id)s").is_ok());
        assert_eq!(filled("http://x/$(tenant_id)s"), None);
    }

    #[test]
    fn what_python_cannot_format_is_malformed() {
        for url in [
            "http://x/%",
            "http://x/%s",
            "http://x/%20y",
            "http://x/%(nonsense)s",
            "http://x/%(project_id)",
            "http://x/%(project_id",
            "http://x/%(project_id)d",
            "http://x/$(admin_token)s",
            "http://x/%(project_id)99999s",
        ] {
            assert_eq!(UrlTemplate::parse(url), Err(Malformed), "{url}");
        }
    }

    #[test]
    fn conversions_are_those_of_python() {
        for (url, expected) in [
            ("%%", "%"),
            ("%%(project_id)s", "%(project_id)s"),
            ("%(project_id)5s|", "  abc|"),
            ("%(project_id)-5s|", "abc  |"),
            ("%(project_id).2s", "ab"),
            ("%(project_id)ls", "abc"),
            ("%(project_id)r", "'abc'"),
            ("$project_id", "$project_id"),
        ] {
            assert_eq!(filled(url).as_deref(), Some(expected), "{url}");
        }
    }
}
