"""Signed requests: AWS signatures in the bodies of ec2tokens and s3tokens, OAuth 1.0 in an Authorization header."""

import base64
import hashlib
import hmac
import time
import uuid
from datetime import datetime, timedelta, timezone

from keystoneclient.contrib.ec2.utils import Ec2Signer
from oauthlib import oauth1

HOST = "objects.example:8080"
BODY_HASH = hashlib.sha256(b"").hexdigest()


class Form(dict):
    """A body sent as application/x-www-form-urlencoded."""

    def __repr__(self):
        return f"Form({super().__repr__()})"


class AwsSigned(dict):
    """What an AWS client signed, as the service that it asked hands it on.

    api: ec2 or s3; version: 1, 2 or 4 (ec2: 0 as well); access, secret
    late: how many seconds ago it was signed; spoil: change the signature; set: members of the credentials to overwrite
    after signing (null takes one away); in: the member of the body, `credentials` if left out
    params, headers: parameters and headers of an ec2 request besides the usual; string: what an s3 client signed
    """

    def __repr__(self):
        return f"AwsSigned({super().__repr__()})"

    def body(self):
        signed = ec2_credentials(self) if self["api"] == "ec2" else s3_credentials(self)
        if self.get("spoil"):
            signed["signature"] = signed["signature"][::-1]
        for name, value in self.get("set", {}).items():
            if value is None:
                signed.pop(name, None)
            else:
                signed[name] = value
        return {self.get("in", "credentials"): signed}


def ec2_credentials(request):
    access, secret, version = request["access"], request["secret"], request["version"]
    signed_at = datetime.now(timezone.utc) - timedelta(seconds=request.get("late", 0))
    credentials = {"access": access, "host": HOST, "verb": "GET", "path": "/services/Cloud", "headers": {}}
    credentials["params"] = {"Action": "DescribeInstances", "AWSAccessKeyId": access, "Odd name": "~a b/ü*"}
    if version == 4:
        day, stamp = signed_at.strftime("%Y%m%d"), signed_at.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{access}/{day}/RegionOne/ec2/aws4_request"
        if request.get("by") == "query":
            credentials["params"] |= {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": scope}
            credentials["params"] |= {"X-Amz-SignedHeaders": "host", "X-Amz-Date": stamp}
            credentials["headers"] = {"host": HOST}
        else:
            authorization = f"AWS4-HMAC-SHA256 Credential={scope},SignedHeaders=host;x-amz-date,Signature=unused"
            credentials["headers"] = {"Host": HOST, "X-Amz-Date": stamp, "Authorization": authorization}
        credentials["body_hash"] = BODY_HASH
    else:
        credentials["params"] |= {"SignatureVersion": str(version), "SignatureMethod": "HmacSHA256"}
        credentials["params"]["Timestamp"] = signed_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    credentials["params"].update(request.get("params", {}))
    credentials["headers"].update(request.get("headers", {}))
    credentials["verb"] = request.get("verb", "GET")
    signed = {**credentials, "host": request.get("signed_host", HOST), "params": dict(credentials["params"])}
    credentials["signature"] = Ec2Signer(secret).generate(signed)
    return credentials


def s3_credentials(request):
    secret, stamp = request["secret"], time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    if request["version"] == 4:
        day, service = stamp[:8], request.get("service", "s3")
        string = f"AWS4-HMAC-SHA256\n{stamp}\n{day}/RegionOne/{service}/aws4_request\n{BODY_HASH}"
        string = request.get("string", string)
        key = ("AWS4" + secret).encode()
        for part in (day, "RegionOne", service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, string.encode(), hashlib.sha256).hexdigest()
    else:
        string = request.get("string", f"GET\n\n\n{stamp}\n/bucket/ob~ject?ü")
        signature = base64.b64encode(hmac.new(secret.encode(), string.encode(), hashlib.sha1).digest()).decode()
    token = base64.urlsafe_b64encode(string.encode()).decode()
    return {"access": request["access"], "token": token, "signature": signature}


def oauth1_header(options, url):
    """The Authorization header of a POST to `url`, signed as an OAuth client does.

    consumer, secret: the consumer's id and secret; token, token_secret, verifier: of the token in use
    method: the signature method; time, nonce, callback, spoil: what a client gets wrong
    """
    optional = {"timestamp": options.get("time"), "nonce": options.get("nonce", uuid.uuid4().hex)}
    client = oauth1.Client(
        options["consumer"],
        client_secret=options["secret"],
        resource_owner_key=options.get("token"),
        resource_owner_secret=options.get("token_secret"),
        verifier=options.get("verifier"),
        callback_uri=options.get("callback", "oob"),
        signature_method=options.get("method", oauth1.SIGNATURE_HMAC_SHA1),
        realm=options.get("realm"),
        **{name: value for name, value in optional.items() if value is not None},
    )
    _, headers, _ = client.sign(url, http_method="POST", headers={})
    header = headers["Authorization"]
    if options.get("without"):
        parts = header.removeprefix("OAuth ").split(", ")
        header = "OAuth " + ", ".join(part for part in parts if not part.startswith(options["without"] + "="))
    if options.get("spoil"):
        header = header.replace('oauth_signature="', 'oauth_signature="A')
    return header
