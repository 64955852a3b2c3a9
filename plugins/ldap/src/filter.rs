//! Search filters that an operator wrote (RFC 4515), read into values.
//!
//! Every other filter is made of values to begin with. None is ever put together as text, so that
//! nobody's name or id can be more than something to compare with.

use std::{iter::Peekable, str::CharIndices};

use ldap3_proto::proto::{LdapFilter, LdapMatchingRuleAssertion, LdapSubstringFilter};

const DEEPEST: usize = 16;
const LONGEST: usize = 8 << 10;

/// Reads a filter, or several in a row, which hold together.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn read(text: &str) -> Result<LdapFilter, String> {
    if text.len() > LONGEST {
        return Err(format!("the filter is longer than {LONGEST} bytes"));
    }
    let mut reader = Reader {
        text,
        rest: text.char_indices().peekable(),
    };
    let mut all = Vec::new();
    loop {
        reader.skip_blanks();
        if reader.rest.peek().is_none() {
            break;
        }
        all.push(reader.filter(DEEPEST)?);
    }
    match all.len() {
        0 => Err("the filter is empty".to_owned()),
        1 => Ok(all.remove(0)),
        _ => Ok(LdapFilter::And(all)),
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn filter(&mut self, depth: usize) -> Result<LdapFilter, String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("the filter is nested deeper than {DEEPEST} levels"));
        };
        self.expect('(')?;
        let filter = match self.rest.peek().map(|(_, next)| *next) {
            Some('&') => LdapFilter::And(self.list(depth)?),
            Some('|') => LdapFilter::Or(self.list(depth)?),
            Some('!') => {
                self.rest.next();
                self.skip_blanks();
                LdapFilter::Not(Box::new(self.filter(depth)?))
            }
            _ => return self.item(),
        };
        self.skip_blanks();
        self.expect(')')?;
        Ok(filter)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<LdapFilter>, String> {
        self.rest.next();
        let mut all = Vec::new();
        loop {
            self.skip_blanks();
            if self.rest.peek().is_none_or(|(_, next)| *next != '(') {
                return Ok(all);
            }
            all.push(self.filter(depth)?);
        }
    }

    /// What compares one attribute, and the parenthesis after it.
    fn item(&mut self) -> Result<LdapFilter, String> {
        let start = self.place();
        let mut end = start;
        while let Some((place, next)) = self.rest.peek().copied() {
            if "=~<>()".contains(next) {
                break;
            }
            self.rest.next();
            end = place + next.len_utf8();
        }
        let left = self.text.get(start..end).unwrap_or_default();
        let operator = match self.rest.next().map(|(_, next)| next) {
            Some('=') => '=',
            Some(other @ ('~' | '<' | '>')) => {
                self.expect('=')?;
                other
            }
            _ => return Err(format!("an `=` is missing at {start}")),
        };
        let pieces = self.value()?;
        if let Some(rule) = left.strip_suffix(':')
            && operator == '='
        {
            return extensible(rule, single(pieces)?);
        }
        let attribute = attribute(left)?;
        Ok(match operator {
            '~' => LdapFilter::Approx(attribute, single(pieces)?),
            '<' => LdapFilter::LessOrEqual(attribute, single(pieces)?),
            '>' => LdapFilter::GreaterOrEqual(attribute, single(pieces)?),
            _ => comparison(attribute, pieces),
        })
    }

    /// A value, in the pieces that `*` divides it into, up to and with the parenthesis after it.
    fn value(&mut self) -> Result<Vec<String>, String> {
        let mut pieces = Vec::new();
        let mut piece = Vec::new();
        let text = |piece: Vec<u8>| {
            String::from_utf8(piece).map_err(|_| "a value is no UTF-8 text".to_owned())
        };
        while let Some((place, next)) = self.rest.next() {
            match next {
                ')' => {
                    pieces.push(text(piece)?);
                    return Ok(pieces);
                }
                '*' => pieces.push(text(std::mem::take(&mut piece))?),
                '\\' => piece.push(self.escaped(place)?),
                '(' | '\0' => return Err(format!("write the character at {place} as \\XX")),
                other => piece.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Err("a `)` is missing at the end".to_owned())
    }

    fn escaped(&mut self, place: usize) -> Result<u8, String> {
        let digits: String = self.rest.by_ref().take(2).map(|(_, digit)| digit).collect();
        match u8::from_str_radix(&digits, 16) {
            Ok(byte) if digits.len() == 2 && !digits.starts_with('+') => Ok(byte),
            _ => Err(format!(
                "two hexadecimal digits are missing after the \\ at {place}"
            )),
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        let place = self.place();
        match self.rest.next() {
            Some((_, next)) if next == wanted => Ok(()),
            _ => Err(format!("a `{wanted}` is missing at {place}")),
        }
    }

    fn skip_blanks(&mut self) {
        while self
            .rest
            .next_if(|(_, next)| next.is_ascii_whitespace())
            .is_some()
        {}
    }

    fn place(&mut self) -> usize {
        self.rest
            .peek()
            .map_or(self.text.len(), |(place, _)| *place)
    }
}

fn comparison(attribute: String, mut pieces: Vec<String>) -> LdapFilter {
    if pieces.len() == 1 {
        return LdapFilter::Equality(attribute, pieces.remove(0));
    }
    let given = |piece: String| (!piece.is_empty()).then_some(piece);
    let last = pieces.pop().and_then(given);
    let first = given(pieces.remove(0));
    let any: Vec<String> = pieces.into_iter().filter_map(given).collect();
    if first.is_none() && any.is_empty() && last.is_none() {
        return LdapFilter::Present(attribute);
    }
    LdapFilter::Substring(
        attribute,
        LdapSubstringFilter {
            initial: first,
            any,
            final_: last,
        },
    )
}

/// `attribute:dn:rule`, where each can be absent, but not attribute and rule together.
fn extensible(left: &str, value: String) -> Result<LdapFilter, String> {
    let mut parts = left.split(':');
    let type_ = match parts.next() {
        None | Some("") => None,
        Some(name) => Some(attribute(name)?),
    };
    let mut parts: Vec<&str> = parts.collect();
    let dn_attributes = parts
        .first()
        .is_some_and(|part| part.eq_ignore_ascii_case("dn"));
    if dn_attributes {
        parts.remove(0);
    }
    let matching_rule = match parts.as_slice() {
        [] => None,
        [rule] => Some(attribute(rule)?),
        _ => return Err("a matching rule has too many parts".to_owned()),
    };
    if type_.is_none() && matching_rule.is_none() {
        return Err("a matching rule names neither attribute nor rule".to_owned());
    }
    Ok(LdapFilter::Extensible(LdapMatchingRuleAssertion {
        matching_rule,
        type_,
        match_value: value,
        dn_attributes,
    }))
}

fn single(mut pieces: Vec<String>) -> Result<String, String> {
    match pieces.len() {
        1 => Ok(pieces.remove(0)),
        _ => Err("a `*` stands where it cannot".to_owned()),
    }
}

/// A name of an attribute or a rule, or its OID, perhaps with options (RFC 4512 section 2.5).
fn attribute(text: &str) -> Result<String, String> {
    if is_attribute(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no name of an attribute"))
    }
}

/// Whether this can be the name of an attribute.
pub fn is_attribute(text: &str) -> bool {
    let good = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let mut parts = text.split(';');
    let base = parts.next().unwrap_or_default();
    let name = good(base) && base.starts_with(|first: char| first.is_ascii_alphabetic());
    let oid = base
        .split('.')
        .all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    (name || oid) && parts.all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equality(attribute: &str, value: &str) -> LdapFilter {
        LdapFilter::Equality(attribute.to_owned(), value.to_owned())
    }

    #[test]
    fn what_operators_write_is_read() {
        let nested = "1.2.840.113556.1.4.1941";
        assert_eq!(
            read(&format!("(memberOf:{nested}:=CN=Users,DC=x)")),
            Ok(LdapFilter::Extensible(LdapMatchingRuleAssertion {
                matching_rule: Some(nested.to_owned()),
                type_: Some("memberOf".to_owned()),
                match_value: "CN=Users,DC=x".to_owned(),
                dn_attributes: false,
            }))
        );
        assert_eq!(
            read("(&(memberOf=cn=a,dc=b)(!(ou=x*y*z))(|(a>=1)(cn;lang-de~=q)))"),
            Ok(LdapFilter::And(vec![
                equality("memberOf", "cn=a,dc=b"),
                LdapFilter::Not(Box::new(LdapFilter::Substring(
                    "ou".to_owned(),
                    LdapSubstringFilter {
                        initial: Some("x".to_owned()),
                        any: vec!["y".to_owned()],
                        final_: Some("z".to_owned()),
                    }
                ))),
                LdapFilter::Or(vec![
                    LdapFilter::GreaterOrEqual("a".to_owned(), "1".to_owned()),
                    LdapFilter::Approx("cn;lang-de".to_owned(), "q".to_owned()),
                ]),
            ]))
        );
        assert_eq!(read("(cn=*)"), Ok(LdapFilter::Present("cn".to_owned())));
        assert_eq!(
            read("(a=1)(b=2)"),
            Ok(LdapFilter::And(vec![
                equality("a", "1"),
                equality("b", "2")
            ]))
        );
    }

    #[test]
    fn escapes_are_what_they_stand_for() {
        assert_eq!(read(r"(cn=\28a\2a\29\c3\a9)"), Ok(equality("cn", "(a*)é")));
        assert_eq!(read("(cn=é)"), Ok(equality("cn", "é")));
        assert_eq!(read("(cn=)"), Ok(equality("cn", "")));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let deep = "(!".repeat(40) + "(a=b)" + &")".repeat(40);
        for wrong in [
            "",
            "a=b",
            "(a=b",
            "(a=b))",
            "(a=b)x",
            "(a=b(c)",
            r"(a=\2)",
            r"(a=\zz)",
            r"(a=\+1)",
            r"(a=\ff)",
            "(=b)",
            "(a b=c)",
            "(a>=b*)",
            "(:=x)",
            "(a:b:c:d:=x)",
            "(&(a=b)",
            "(!(a=b)(c=d))",
            deep.as_str(),
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_of_an_attribute_holds_no_syntax() {
        for good in ["cn", "userAccountControl", "2.5.4.3", "cn;lang-de", "x-y1"] {
            assert!(is_attribute(good), "{good}");
        }
        for wrong in [
            "", "1a", "a=b", "a)(b", "a b", "é", "a;", ";a", "1..2", "-a",
        ] {
            assert!(!is_attribute(wrong), "{wrong}");
        }
    }
}
