//! Distinguished names (RFC 4514), as far as they have to be looked into: what stands first, and
//! what is below what.

/// One attribute and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub attribute: String,
    pub value: String,
}

/// The first attribute of a name, which most often is what identifies its entry. Nothing where the
/// name cannot be read.
pub fn leading(dn: &str) -> Option<Part> {
    parts(dn)?.into_iter().next()?.into_iter().next()
}

/// A name as it is compared: without regard to case and to how it is written.
pub fn comparable(dn: &str) -> String {
    match parts(dn) {
        Some(parts) => parts
            .iter()
            .map(|rdn| spelled(rdn))
            .collect::<Vec<_>>()
            .join(","),
        None => folded(dn),
    }
}

/// Whether an entry is this one or below it. What cannot be read is below nothing.
pub fn is_within(dn: &str, base: &str) -> bool {
    let (Some(dn), Some(base)) = (parts(dn), parts(base)) else {
        return false;
    };
    let Some(above) = dn.len().checked_sub(base.len()) else {
        return false;
    };
    dn.iter()
        .skip(above)
        .zip(&base)
        .all(|(one, other)| spelled(one) == spelled(other))
}

fn spelled(rdn: &[Part]) -> String {
    let mut parts: Vec<String> = rdn
        .iter()
        .map(|part| {
            let value = folded(&part.value).replace('\\', r"\\").replace(',', r"\,");
            format!("{}={}", part.attribute, value.replace('+', r"\+"))
        })
        .collect();
    parts.sort();
    parts.join("+")
}

fn folded(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}

/// The relative names, each of one or several attributes, in lower case.
fn parts(dn: &str) -> Option<Vec<Vec<Part>>> {
    let mut all = Vec::new();
    let mut rdn = Vec::new();
    let mut rest = dn.trim_start();
    if rest.is_empty() {
        return Some(all);
    }
    loop {
        let (attribute, after) = rest.split_once('=')?;
        let attribute = attribute.trim();
        if attribute.is_empty() || attribute.contains([',', '+', '\\', ';']) {
            return None;
        }
        let (value, end) = value(after.trim_start())?;
        rdn.push(Part {
            attribute: attribute.to_ascii_lowercase(),
            value,
        });
        let mut left = end.chars();
        match left.next() {
            None => {
                all.push(rdn);
                return Some(all);
            }
            Some('+') => {}
            Some(_) => all.push(std::mem::take(&mut rdn)),
        }
        rest = left.as_str().trim_start();
    }
}

/// A value, and what is behind it, the divider included.
fn value(text: &str) -> Option<(String, &str)> {
    if text.starts_with(['#', '"']) {
        return None; // BER and the quotes of LDAPv2: nobody gives these out
    }
    let mut bytes = Vec::new();
    let mut kept = 0; // blanks at the end count only where they are escaped
    let mut rest = text.char_indices();
    let mut end = text.len();
    while let Some((place, next)) = rest.next() {
        match next {
            ',' | '+' | ';' => {
                end = place;
                break;
            }
            '\\' => {
                let (_, escaped) = rest.next()?;
                match escaped.to_digit(16) {
                    Some(high) => {
                        let (_, low) = rest.next()?;
                        bytes.push(u8::try_from(high * 16 + low.to_digit(16)?).ok()?);
                    }
                    None => bytes.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                kept = bytes.len();
            }
            other => {
                bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                if other != ' ' {
                    kept = bytes.len();
                }
            }
        }
    }
    bytes.truncate(kept);
    Some((String::from_utf8(bytes).ok()?, text.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(dn: &str) -> Option<(String, String)> {
        leading(dn).map(|part| (part.attribute, part.value))
    }

    #[test]
    fn the_first_value_is_read_without_its_escapes() {
        let of = |attribute: &str, value: &str| Some((attribute.to_owned(), value.to_owned()));
        assert_eq!(first("UID=ada, dc=x"), of("uid", "ada"));
        assert_eq!(
            first(r"cn=Lovelace\, Ada\20,dc=x"),
            of("cn", "Lovelace, Ada ")
        );
        assert_eq!(first(r"cn=a\+b+uid=1,dc=x"), of("cn", "a+b"));
        assert_eq!(first(r"cn=Lu\C4\8Di\C4\87"), of("cn", "Lučić"));
        assert_eq!(first(r"cn=a=b"), of("cn", "a=b"));
        for unreadable in ["", "ada", "=x", r"cn=a\", r"cn=\ff", "cn=#0401", r"a\,b=c"] {
            assert_eq!(first(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn names_are_compared_as_a_directory_compares_them() {
        assert_eq!(
            comparable("CN=Ada  L , DC=X"),
            comparable(r"cn=ada\20l,dc=x")
        );
        assert_eq!(comparable("a=1+b=2"), comparable("b=2+a=1"));
        assert_ne!(comparable(r"a=1\,b=2"), comparable("a=1,b=2"));
    }

    #[test]
    fn only_what_is_below_is_within() {
        let tree = "ou=people, dc=Example,dc=org";
        assert!(is_within("uid=a,ou=People,dc=example,dc=org", tree));
        assert!(is_within(tree, tree));
        for outside in [
            "uid=a,ou=people,dc=example,dc=com",
            "dc=example,dc=org",
            r"uid=a\,ou=people\,dc=example\,dc=org",
            "nonsense",
        ] {
            assert!(!is_within(outside, tree), "{outside}");
        }
    }
}
