"""Domains whose users live in LDAP: a real slapd, the plugin `ldap`, and Python Keystone beside it."""
