//! The grammar of check strings: `not`, then `and`, then `or`, and parentheses.

use super::check::{Check, Piece, Template};

/// Why a check string cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    #[error("the check ends too early")]
    UnexpectedEnd,
    #[error("unexpected {0:?}")]
    Unexpected(String),
    #[error("{0:?} is not a check; one has the form kind:match")]
    NotACheck(String),
    #[error("the check is nested too deeply")]
    TooDeep,
}

/// How deep parentheses and negations may nest.
const MAX_NESTING: usize = 64;

/// Parses a check string. An empty one always holds.
pub(super) fn parse(text: &str) -> Result<Check, SyntaxError> {
    let tokens = tokenize(text);
    if tokens.is_empty() {
        return Ok(Check::Always);
    }
    let mut parser = Parser {
        tokens: tokens.iter().peekable(),
    };
    let check = parser.any(MAX_NESTING)?;
    match parser.tokens.next() {
        None => Ok(check),
        Some(extra) => Err(SyntaxError::Unexpected(extra.to_string())),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Word(&'a str),
}

impl std::fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "(",
            Self::Close => ")",
            Self::Word(word) => word,
        })
    }
}

/// Splits at white space; parentheses count only at the ends of a word, since `%(key)s` has them
/// inside.
fn tokenize(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        let core = word.trim_start_matches('(');
        tokens.extend((0..word.len() - core.len()).map(|_| Token::Open));
        let inner = core.trim_end_matches(')');
        if !inner.is_empty() {
            tokens.push(Token::Word(inner));
        }
        tokens.extend((0..core.len() - inner.len()).map(|_| Token::Close));
    }
    tokens
}

struct Parser<'a> {
    tokens: std::iter::Peekable<std::slice::Iter<'a, Token<'a>>>,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Check, SyntaxError> {
        let mut checks = vec![self.all(depth)?];
        while self.take_word("or") {
            checks.push(self.all(depth)?);
        }
        Ok(one_or(checks, Check::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Check, SyntaxError> {
        let mut checks = vec![self.one(depth)?];
        while self.take_word("and") {
            checks.push(self.one(depth)?);
        }
        Ok(one_or(checks, Check::All))
    }

    fn one(&mut self, depth: usize) -> Result<Check, SyntaxError> {
        let depth = depth.checked_sub(1).ok_or(SyntaxError::TooDeep)?;
        if self.take_word("not") {
            return Ok(Check::Not(Box::new(self.one(depth)?)));
        }
        match self.tokens.next() {
            Some(Token::Open) => {
                let check = self.any(depth)?;
                match self.tokens.next() {
                    Some(Token::Close) => Ok(check),
                    Some(other) => Err(SyntaxError::Unexpected(other.to_string())),
                    None => Err(SyntaxError::UnexpectedEnd),
                }
            }
            Some(Token::Word(word)) => leaf(word),
            Some(Token::Close) => Err(SyntaxError::Unexpected(")".to_owned())),
            None => Err(SyntaxError::UnexpectedEnd),
        }
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        self.tokens
            .next_if(
                |token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted)),
            )
            .is_some()
    }
}

fn one_or(mut checks: Vec<Check>, many: fn(Vec<Check>) -> Check) -> Check {
    if checks.len() == 1 {
        checks.remove(0)
    } else {
        many(checks)
    }
}

fn leaf(word: &str) -> Result<Check, SyntaxError> {
    match word {
        "@" => return Ok(Check::Always),
        "!" => return Ok(Check::Never),
        _ => {}
    }
    let (kind, wanted) = word
        .split_once(':')
        .ok_or_else(|| SyntaxError::NotACheck(word.to_owned()))?;
    Ok(match kind {
        "rule" => Check::Rule(wanted.to_owned()),
        "role" => Check::Role(template(wanted)),
        // Nothing here is ever the "is_admin" of a shared admin token.
        "is_admin" => Check::Never,
        "None" | "True" | "False" => Check::Literal(kind.to_owned(), template(wanted)),
        quoted if is_quoted(quoted) => {
            Check::Literal(quoted[1..quoted.len() - 1].to_owned(), template(wanted))
        }
        number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            Check::Literal(number.to_owned(), template(wanted))
        }
        path => Check::Attribute(path.to_owned(), template(wanted)),
    })
}

fn is_quoted(text: &str) -> bool {
    text.len() >= 2
        && ['\'', '"']
            .iter()
            .any(|quote| text.starts_with(*quote) && text.ends_with(*quote))
}

fn template(text: &str) -> Template {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("%(")
        && let Some((key, tail)) = after.split_once(")s")
    {
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Reference(key.to_owned()));
        rest = tail;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Template(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> Check {
        Check::Role(template(name))
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert_eq!(
            parse("role:a or role:b and role:c"),
            Ok(Check::Any(vec![
                role("a"),
                Check::All(vec![role("b"), role("c")])
            ]))
        );
    }

    #[test]
    fn parentheses_group_and_not_negates() {
        assert_eq!(
            parse("(role:a or role:b) and not role:c"),
            Ok(Check::All(vec![
                Check::Any(vec![role("a"), role("b")]),
                Check::Not(Box::new(role("c"))),
            ]))
        );
    }

    #[test]
    fn a_reference_keeps_its_parentheses() {
        assert_eq!(
            parse("(user_id:%(target.user.id)s)"),
            Ok(Check::Attribute(
                "user_id".to_owned(),
                Template(vec![Piece::Reference("target.user.id".to_owned())])
            ))
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in [
            "role:a or",
            "(role:a",
            "role:a)",
            "nonsense",
            "and role:a",
            "role:a role:b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(&"(".repeat(1000)), Err(SyntaxError::TooDeep));
    }
}
