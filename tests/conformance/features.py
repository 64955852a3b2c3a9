"""Which features a run has switched on: what the server's keystone.conf says of them, and what tempest.conf says."""

from dataclasses import dataclass

ALL_TESTS = r"^(tempest\.api\.identity|keystone_tempest_plugin)"

LOCKOUT_ATTEMPTS, LOCKOUT_SECONDS, UNIQUE_PASSWORDS = 2, 5, 2


@dataclass(frozen=True)
class Features:
    """Options by section, for both sides, and an expression for the tests to run with them."""

    tests: str
    server: dict
    tempest: dict


# What needs an identity provider or a mod_shib of its own is off in both: [identity-feature-enabled] federation and
# external_idp. So is immutable_user_source, which would leave out whatever makes a user.
FEATURES = {
    "sample": Features(
        tests=ALL_TESTS,
        server={},
        tempest={
            "auth": {
                "use_dynamic_credentials": "true",
                "admin_username": "admin",
                "admin_project_name": "admin",
                "admin_domain_name": "Default",
                "admin_system": "all",
            },
            "identity": {
                "auth_version": "v3",
                "region": "RegionOne",
                "v3_endpoint_type": "public",
                "default_domain_id": "default",
            },
            "identity-feature-enabled": {
                "trust": "true",
                "api_v3": "true",
                "domain_specific_drivers": "false",
                "security_compliance": "false",
                "application_credentials": "true",
                "access_rules": "true",
                "immutable_user_source": "false",
                "external_idp": "false",
                "project_tags": "true",
                "enforce_scope": "true",
            },
            "service_available": {
                "keystone": "true",
                "cinder": "false",
                "glance": "false",
                "neutron": "false",
                "nova": "false",
                "swift": "false",
                "horizon": "false",
            },
            "enforce_scope": {"keystone": "true"},
        },
    ),
    "all": Features(
        tests=ALL_TESTS,
        server={
            "identity": {"domain_specific_drivers_enabled": "true", "domain_configurations_from_database": "true"},
            "oslo_policy": {"enforce_scope": "true"},
            "security_compliance": {
                "disable_user_account_days_inactive": 90,
                "lockout_failure_attempts": LOCKOUT_ATTEMPTS,
                "lockout_duration": LOCKOUT_SECONDS,
                "password_expires_days": 90,
                "password_regex": r"^(?=.*[a-zA-Z]).{7,}$",
                "password_regex_description": "Seven characters or more, and a letter among them.",
                "unique_last_password_count": UNIQUE_PASSWORDS,
            },
        },
        tempest={
            "identity": {
                "use_system_token": "true",
                "user_lockout_failure_attempts": LOCKOUT_ATTEMPTS,
                "user_lockout_duration": LOCKOUT_SECONDS,
                "user_unique_last_password_count": UNIQUE_PASSWORDS,
            },
            "identity-feature-enabled": {"domain_specific_drivers": "true", "security_compliance": "true"},
        },
    ),
}


def overlaid(*configurations):
    """Later options over earlier ones, section by section."""
    told = {}
    for configuration in configurations:
        for section, options in configuration.items():
            told.setdefault(section, {}).update(options)
    return told


def tempest_options(features, url, password, directory):
    """tempest.conf for a server at this URL."""
    here = {
        "DEFAULT": {"log_file": "tempest.log"},
        "oslo_concurrency": {"lock_path": directory / "lock"},
        "auth": {"admin_password": password},
        "identity": {"uri_v3": url},
    }
    return overlaid(FEATURES["sample"].tempest, FEATURES[features].tempest, here)
