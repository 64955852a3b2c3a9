//! The values of the configuration's secret fields.

use crate::bindings::archstone::plugin::secrets;

/// The value of a secret field, unless the operator left it out.
pub fn get(field: &str) -> Option<String> {
    secrets::get(field)
}
