//! The INI dialect of oslo.config: `=` or `:`, whole-line comments, indented continuation lines,
//! quotes around a whole value. Repeated sections and options are kept in order.

/// One option as a file gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub section: String,
    pub option: String,
    /// Continuation lines are joined with line breaks.
    pub value: String,
    /// Where the option begins, counted from 1.
    pub line: usize,
}

/// Why a line cannot be read. Never shows the line, which may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    #[error("a section's name must end with `]`")]
    UnclosedSection,
    #[error("a section needs a name")]
    NamelessSection,
    #[error("expected `option = value`")]
    NotAnAssignment,
    #[error("an option needs a name")]
    NamelessOption,
    #[error("this option is in no section; begin one with `[DEFAULT]`")]
    NoSection,
    #[error("an indented line continues an option, and there is none above it")]
    StrayContinuation,
}

/// Reads a file.
///
/// # Errors
/// The first line that cannot be read, and why.
pub(super) fn parse(text: &str) -> Result<Vec<Assignment>, (usize, SyntaxError)> {
    let mut read: Vec<Assignment> = Vec::new();
    let mut section = None;
    // Whether an indented line would continue the last option.
    let mut open = false;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim_end();
        let refused = |error| (number, error);
        if line.is_empty() {
            open = false;
        } else if line.starts_with([' ', '\t']) {
            let last = read.last_mut().filter(|_| open);
            let last = last.ok_or(refused(SyntaxError::StrayContinuation))?;
            last.value.push('\n');
            last.value.push_str(line.trim_start());
        } else if let Some(rest) = line.strip_prefix('[') {
            open = false;
            section = Some(section_name(rest).map_err(refused)?);
        } else if line.starts_with(['#', ';']) {
            open = false;
        } else {
            let (option, value) = assignment(line).map_err(refused)?;
            let section = section.ok_or(refused(SyntaxError::NoSection))?;
            open = true;
            read.push(Assignment {
                section: section.to_owned(),
                option: option.to_owned(),
                value: value.to_owned(),
                line: number,
            });
        }
    }
    Ok(read)
}

fn section_name(rest: &str) -> Result<&str, SyntaxError> {
    match rest.strip_suffix(']') {
        None => Err(SyntaxError::UnclosedSection),
        Some("") => Err(SyntaxError::NamelessSection),
        Some(name) => Ok(name),
    }
}

fn assignment(line: &str) -> Result<(&str, &str), SyntaxError> {
    let (option, value) = line
        .split_once(['=', ':'])
        .ok_or(SyntaxError::NotAnAssignment)?;
    match option.trim() {
        "" => Err(SyntaxError::NamelessOption),
        option => Ok((option, unquoted(value.trim()))),
    }
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String, String)> {
        let read = parse(text).unwrap();
        read.into_iter()
            .map(|one| (one.section, one.option, one.value))
            .collect()
    }

    fn one(section: &str, option: &str, value: &str) -> (String, String, String) {
        (section.into(), option.into(), value.into())
    }

    #[test]
    fn the_first_of_equals_and_colon_separates() {
        let text = "[database]\nconnection = mysql://u:p@db/k?a=b\nbackend: x=y\n";
        let expected = [
            one("database", "connection", "mysql://u:p@db/k?a=b"),
            one("database", "backend", "x=y"),
        ];
        assert_eq!(values(text), expected);
    }

    #[test]
    fn indented_lines_continue_a_value_and_a_blank_line_ends_it() {
        let text = "[auth]\nmethods = password,\n  token,\n\ttotp\n\nexternal = Default\n";
        let expected = [
            one("auth", "methods", "password,\ntoken,\ntotp"),
            one("auth", "external", "Default"),
        ];
        assert_eq!(values(text), expected);
        let stray = "[auth]\nmethods = password\n\n  token\n";
        assert_eq!(parse(stray), Err((4, SyntaxError::StrayContinuation)));
    }

    #[test]
    fn comments_are_whole_lines_only() {
        let text = "# a\n[token]\n; b\nexpiration = 60 # not a comment\n";
        assert_eq!(
            values(text),
            [one("token", "expiration", "60 # not a comment")]
        );
    }

    #[test]
    fn quotes_around_a_whole_value_are_dropped() {
        let text = "[a]\nb = \" x \"\nc = 'y'\nd = \"z\ne = \"\n";
        let expected = [
            one("a", "b", " x "),
            one("a", "c", "y"),
            one("a", "d", "\"z"),
            one("a", "e", "\""),
        ];
        assert_eq!(values(text), expected);
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        for (text, error) in [
            ("[token\n", SyntaxError::UnclosedSection),
            ("[]\n", SyntaxError::NamelessSection),
            ("nonsense\n", SyntaxError::NotAnAssignment),
            ("= 1\n", SyntaxError::NamelessOption),
            ("a = 1\n", SyntaxError::NoSection),
            ("  a = 1\n", SyntaxError::StrayContinuation),
        ] {
            assert_eq!(parse(&format!("\n{text}")), Err((2, error)), "{text}");
        }
    }
}
