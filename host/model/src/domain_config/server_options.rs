//! The options of `[identity]` and `[ldap]` that can be read of a domain, with Keystone's types and
//! defaults.

use serde_json::Value;

/// An option of the server's own configuration that a domain may have another value of.
#[derive(Debug, Clone, Copy)]
pub struct ServerOption {
    pub name: &'static str,
    pub kind: OptionKind,
}

/// The type of an option, with its default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptionKind {
    Text(Option<&'static str>),
    Choice(&'static [&'static str], &'static str),
    Integer { default: Option<i64>, least: i64 },
    Real(f64),
    Bool(Option<bool>),
    List(&'static [&'static str]),
}

const fn text(name: &'static str) -> ServerOption {
    let kind = OptionKind::Text(None);
    ServerOption { name, kind }
}

const fn text_or(name: &'static str, default: &'static str) -> ServerOption {
    let kind = OptionKind::Text(Some(default));
    ServerOption { name, kind }
}

const fn integer(name: &'static str, default: i64, least: i64) -> ServerOption {
    let kind = OptionKind::Integer {
        default: Some(default),
        least,
    };
    ServerOption { name, kind }
}

const fn switch(name: &'static str, default: bool) -> ServerOption {
    let kind = OptionKind::Bool(Some(default));
    ServerOption { name, kind }
}

const fn list(name: &'static str, default: &'static [&'static str]) -> ServerOption {
    let kind = OptionKind::List(default);
    ServerOption { name, kind }
}

/// The readable options of each group, with Keystone's types and defaults.
pub static SERVER_OPTIONS: [(&str, &[ServerOption]); 2] = [
    (
        "identity",
        &[
            text_or("driver", "sql"),
            ServerOption {
                name: "list_limit",
                kind: OptionKind::Integer {
                    default: None,
                    least: i64::MIN,
                },
            },
        ],
    ),
    (
        "ldap",
        &[
            text_or("url", "ldap://localhost"),
            text("user"),
            text_or("suffix", "cn=example,cn=com"),
            ServerOption {
                name: "query_scope",
                kind: OptionKind::Choice(&["one", "sub"], "one"),
            },
            integer("page_size", 0, 0),
            ServerOption {
                name: "alias_dereferencing",
                kind: OptionKind::Choice(
                    &["never", "searching", "always", "finding", "default"],
                    "default",
                ),
            },
            ServerOption {
                name: "debug_level",
                kind: OptionKind::Integer {
                    default: None,
                    least: -1,
                },
            },
            ServerOption {
                name: "chase_referrals",
                kind: OptionKind::Bool(None),
            },
            text("user_tree_dn"),
            text("user_filter"),
            text_or("user_objectclass", "inetOrgPerson"),
            text_or("user_id_attribute", "cn"),
            text_or("user_name_attribute", "sn"),
            text_or("user_mail_attribute", "mail"),
            text_or("user_description_attribute", "description"),
            text_or("user_pass_attribute", "userPassword"),
            text_or("user_enabled_attribute", "enabled"),
            switch("user_enabled_invert", false),
            integer("user_enabled_mask", 0, 0),
            text_or("user_enabled_default", "True"),
            list("user_attribute_ignore", &["default_project_id"]),
            text("user_default_project_id_attribute"),
            switch("user_enabled_emulation", false),
            text("user_enabled_emulation_dn"),
            switch("user_enabled_emulation_use_group_config", false),
            list("user_additional_attribute_mapping", &[]),
            text("group_tree_dn"),
            text("group_filter"),
            text_or("group_objectclass", "groupOfNames"),
            text_or("group_id_attribute", "cn"),
            text_or("group_name_attribute", "ou"),
            switch("group_members_are_ids", false),
            text_or("group_member_attribute", "member"),
            text_or("group_desc_attribute", "description"),
            list("group_attribute_ignore", &[]),
            list("group_additional_attribute_mapping", &[]),
            text("tls_cacertfile"),
            text("tls_cacertdir"),
            switch("use_tls", false),
            ServerOption {
                name: "tls_req_cert",
                kind: OptionKind::Choice(&["demand", "never", "allow"], "demand"),
            },
            switch("use_pool", true),
            integer("pool_size", 10, 1),
            integer("pool_retry_max", 3, 1),
            ServerOption {
                name: "pool_retry_delay",
                kind: OptionKind::Real(0.1),
            },
            integer("pool_connection_timeout", -1, -1),
            integer("pool_connection_lifetime", 600, 1),
            switch("use_auth_pool", true),
            integer("auth_pool_size", 100, 1),
            integer("auth_pool_connection_lifetime", 60, 1),
        ],
    ),
];

/// A server option's default as JSON.
impl From<OptionKind> for Value {
    fn from(kind: OptionKind) -> Self {
        match kind {
            OptionKind::Text(default) => default.into(),
            OptionKind::Choice(_, default) => default.into(),
            OptionKind::Integer { default, .. } => default.into(),
            OptionKind::Real(default) => default.into(),
            OptionKind::Bool(default) => default.into(),
            OptionKind::List(default) => default.into(),
        }
    }
}
