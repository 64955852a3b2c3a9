//! What a list request may ask for: attribute filters, and a bounded page.

/// How a `name` filter compares: `name`, `name__contains`, `name__icontains`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equals,
    EqualsIgnoringCase,
    Contains,
    ContainsIgnoringCase,
    StartsWith,
    StartsWithIgnoringCase,
    EndsWith,
    EndsWithIgnoringCase,
}

impl Comparison {
    /// Whether it looks for a part of the name, in the same case.
    pub fn is_exact_part(self) -> bool {
        matches!(self, Self::Contains | Self::StartsWith | Self::EndsWith)
    }

    /// Every comparison by its suffix in a query, such as `contains` in `name__contains`.
    pub const BY_SUFFIX: [(&'static str, Self); 8] = [
        ("equals", Self::Equals),
        ("iequals", Self::EqualsIgnoringCase),
        ("contains", Self::Contains),
        ("icontains", Self::ContainsIgnoringCase),
        ("startswith", Self::StartsWith),
        ("istartswith", Self::StartsWithIgnoringCase),
        ("endswith", Self::EndsWith),
        ("iendswith", Self::EndsWithIgnoringCase),
    ];

    /// The comparison that a query suffix names.
    pub fn from_suffix(suffix: &str) -> Option<Self> {
        let mut known = Self::BY_SUFFIX.into_iter();
        known.find_map(|(name, comparison)| (name == suffix).then_some(comparison))
    }
}

/// One comparison with an entity's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFilter {
    pub comparison: Comparison,
    pub value: String,
}

impl NameFilter {
    /// Whether a name passes, for the names that the database cannot compare itself.
    pub fn accepts(&self, name: &str) -> bool {
        let (lower, value) = (name.to_lowercase(), self.value.to_lowercase());
        match self.comparison {
            Comparison::Equals => name == self.value,
            Comparison::EqualsIgnoringCase => lower == value,
            Comparison::Contains => name.contains(&self.value),
            Comparison::ContainsIgnoringCase => lower.contains(&value),
            Comparison::StartsWith => name.starts_with(&self.value),
            Comparison::StartsWithIgnoringCase => lower.starts_with(&value),
            Comparison::EndsWith => name.ends_with(&self.value),
            Comparison::EndsWithIgnoringCase => lower.ends_with(&value),
        }
    }
}

/// A slice of a list in id order: at most `limit` entries that come after `marker`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub limit: Option<u64>,
    pub marker: Option<String>,
}

impl Page {
    /// The same page and one entry more, which tells whether there are more.
    pub fn and_one(&self) -> Self {
        Self {
            limit: self.limit.map(|limit| limit.saturating_add(1)),
            marker: self.marker.clone(),
        }
    }
}

/// The entries of a page, and whether others come after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    pub entries: Vec<T>,
    /// The length that the list was cut to, where it was cut.
    pub cut_at: Option<u64>,
}

impl<T> Listing<T> {
    /// Cuts what `page.and_one()` gave to the length of `page`.
    pub fn of(page: &Page, mut entries: Vec<T>) -> Self {
        let cut_at = page.limit.filter(|limit| entries.len() as u64 > *limit);
        if let Some(length) = cut_at {
            entries.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        }
        Self { entries, cut_at }
    }

    /// What was found for `page` itself. A full page counts as cut short: only the next one would
    /// tell.
    pub fn within(page: &Page, entries: Vec<T>) -> Self {
        let cut_at = page.limit.filter(|limit| entries.len() as u64 >= *limit);
        Self { entries, cut_at }
    }

    /// Changes each entry.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listing<U> {
        Listing {
            entries: self.entries.into_iter().map(change).collect(),
            cut_at: self.cut_at,
        }
    }
}

impl<T> From<Vec<T>> for Listing<T> {
    /// All there is.
    fn from(entries: Vec<T>) -> Self {
        Self {
            entries,
            cut_at: None,
        }
    }
}

/// A change to one attribute in an update: leave it, or set it (`None` clears a nullable one).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Change<T> {
    #[default]
    Keep,
    Set(T),
}

impl<T> Change<T> {
    pub fn as_set(&self) -> Option<&T> {
        match self {
            Self::Keep => None,
            Self::Set(value) => Some(value),
        }
    }

    pub fn into_set(self) -> Option<T> {
        match self {
            Self::Keep => None,
            Self::Set(value) => Some(value),
        }
    }

    /// Changes the value that would be set.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::Keep => Change::Keep,
            Self::Set(value) => Change::Set(change(value)),
        }
    }

    pub fn is_set(&self) -> bool {
        matches!(self, Self::Set(_))
    }
}

impl<T> From<Option<T>> for Change<T> {
    /// An absent attribute keeps what there is.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_only_where_more_is_there() {
        let page = Page {
            limit: Some(2),
            marker: None,
        };
        assert_eq!(page.and_one().limit, Some(3));
        assert_eq!(Listing::of(&page, vec![1, 2]).cut_at, None);
        let cut = Listing::of(&page, vec![1, 2, 3]);
        assert_eq!((cut.entries, cut.cut_at), (vec![1, 2], Some(2)));
        assert_eq!(Listing::of(&Page::default(), vec![1]).cut_at, None);
    }

    #[test]
    fn a_full_page_may_have_a_successor() {
        let page = Page {
            limit: Some(2),
            marker: None,
        };
        assert_eq!(Listing::within(&page, vec![1, 2]).cut_at, Some(2));
        assert_eq!(Listing::within(&page, vec![1]).cut_at, None);
    }
}
