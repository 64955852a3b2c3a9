"""OpenStack's own clients against the server."""
