//! List requests as SQL conditions.

use archstone_model::listing::{Comparison, NameFilter, Page};
use sea_query::{Expr, ExprTrait, Func, LikeExpr, Order, SelectStatement, SimpleExpr};

/// Adds the conditions of name filters on `column`.
pub(crate) fn by_name(
    select: &mut SelectStatement,
    column: (&'static str, &'static str),
    names: &[NameFilter],
) {
    for name in names {
        select.and_where(condition(column, name));
    }
}

fn condition(column: (&'static str, &'static str), name: &NameFilter) -> SimpleExpr {
    let escaped: String = name
        .value
        .chars()
        .flat_map(|c| {
            let escape = matches!(c, '%' | '_' | '!').then_some('!');
            escape.into_iter().chain([c])
        })
        .collect();
    let column = Expr::col(column);
    let exact = |pattern: String| LikeExpr::new(pattern).escape('!');
    let lower = |pattern: String| LikeExpr::new(pattern.to_lowercase()).escape('!');
    match name.comparison {
        Comparison::Equals => column.eq(name.value.as_str()),
        Comparison::EqualsIgnoringCase => Func::lower(column).eq(name.value.to_lowercase()),
        Comparison::Contains => column.like(exact(format!("%{escaped}%"))),
        Comparison::StartsWith => column.like(exact(format!("{escaped}%"))),
        Comparison::EndsWith => column.like(exact(format!("%{escaped}"))),
        Comparison::ContainsIgnoringCase => Func::lower(column).like(lower(format!("%{escaped}%"))),
        Comparison::StartsWithIgnoringCase => {
            Func::lower(column).like(lower(format!("{escaped}%")))
        }
        Comparison::EndsWithIgnoringCase => Func::lower(column).like(lower(format!("%{escaped}"))),
    }
}

/// Orders by id and cuts the page out.
pub(crate) fn by_page(select: &mut SelectStatement, id: (&'static str, &'static str), page: &Page) {
    if let Some(marker) = &page.marker {
        select.and_where(Expr::col(id).gt(marker.as_str()));
    }
    select.order_by(id, Order::Asc);
    if let Some(limit) = page.limit {
        // No database counts further.
        select.limit(Ord::min(limit, i64::MAX.unsigned_abs()));
    }
}

/// Compares a column that may be null with a value that may be absent.
pub(crate) fn equals_or_null(column: &'static str, value: Option<&str>) -> SimpleExpr {
    match value {
        Some(value) => Expr::col(column).eq(value),
        None => Expr::col(column).is_null(),
    }
}
