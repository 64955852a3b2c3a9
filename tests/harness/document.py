"""The OpenAPI document of a server, and in what an answer is not as it says."""

import json
import re
from urllib.parse import urlsplit

import jsonschema_rs
import requests

#: Headers that not every answer of their status has.
SOMETIMES = {"Openstack-Auth-Receipt"}


class Document:
    """A document, read to find an answer's operation and to check the answer by it."""

    def __init__(self, document):
        self.document = document
        templates = sorted(document["paths"].items(), key=lambda item: item[0].count("{"))
        self.paths = [(re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(path))), item) for path, item in templates]
        self.validators = {}

    @classmethod
    def of(cls, server):
        return cls(requests.get(f"{server.base}/openapi.json", timeout=60).json())

    def faults(self, method, target, status, headers, text):
        """What the document does not say of this answer. Routes that it does not have say nothing at all."""
        operation = self.operation(method, target)
        if operation is None:
            return []
        response = operation["responses"].get(str(status)) or operation["responses"].get(f"{status // 100}XX")
        if response is None:
            return [f"status {status} is not among {', '.join(operation['responses'])}"]
        response = self.resolved(response)
        promised = set(response.get("headers", {})) - SOMETIMES
        faults = [f"header {name} is missing" for name in promised if name not in headers]
        if method == "HEAD":
            return []
        content = response.get("content", {})
        if not content:
            return [*faults, *(["a body where none is documented"] if text else [])]
        media_type = (headers.get("Content-Type") or "").split(";")[0]
        if media_type not in content:
            return [*faults, f"content type {media_type or 'none'} is not among {', '.join(content)}"]
        if media_type != "application/json":
            return faults
        errors = self.validator(content[media_type]["schema"]).iter_errors(json.loads(text))
        return faults + [f"body at {list(error.instance_path)}: {error.message}" for error in errors]

    def operation(self, method, target):
        path = urlsplit(target).path.rstrip("/") or "/"
        # A HEAD is a GET, but where it has an answer of its own.
        methods = ["head", "get"] if method == "HEAD" else [method.lower()]
        for pattern, item in self.paths:
            for name in methods:
                if pattern.fullmatch(path) and name in item:
                    return item[name]
        return None

    def resolved(self, response):
        if "$ref" not in response:
            return response
        return self.document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]

    def validator(self, schema):
        key = json.dumps(schema)
        if key not in self.validators:
            whole = {"allOf": [schema], "components": self.document["components"]}
            self.validators[key] = jsonschema_rs.Draft202012Validator(whole)
        return self.validators[key]
