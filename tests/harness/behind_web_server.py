"""Python Keystone's application, told by a web server who the client is: REMOTE_USER, SSL_CLIENT_CERT and the like.

A web server would know by itself. Here they come in headers, as they come to Archstone: X-Idp-Remote-User.
"""

from urllib.parse import unquote

from keystone.wsgi.api import application as keystone

HEADERS = ("HTTP_X_IDP_REMOTE_", "HTTP_X_IDP_SSL_")


def application(environ, start_response):
    told = {name.removeprefix("HTTP_X_IDP_"): unquote(value) for name, value in environ.items() if name.startswith(HEADERS)}
    return keystone({**environ, **told}, start_response)
