"""OpenStack's own test suite, tempest with keystone's plugin, against a server that is started for it.

`cd tests && ../target/venv/bin/python -m conformance` runs it on Archstone, and compares with what Python Keystone 30
made of the same tests (`keystone-30.txt`).
"""
