"""The same requests to Archstone and to Python Keystone 30, answers compared."""
