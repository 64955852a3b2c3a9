//! JSON Schema of a connector's configuration.

use archstone_issuer::{ALGORITHMS, BoundClaims};
use serde_json::{Value, json};

/// The properties that are addresses of servers which the connector talks to. The authorization
/// endpoint is none of them: only the browser goes there.
pub const SERVERS: [&str; 7] = [
    "issuer",
    "jwks_uri",
    "token_endpoint",
    "userinfo_endpoint",
    "introspection_endpoint",
    "device_authorization_endpoint",
    "additional_servers",
];

pub fn schema() -> Value {
    let url = json!({"type": "string", "pattern": "^https?://[^\\s#]+$", "maxLength": 2048});
    let endpoint = |what: &str| {
        let mut endpoint = url.clone();
        endpoint["description"] =
            format!("{what}, if the metadata have none or another is wanted").into();
        endpoint
    };
    let text = json!({"type": "string", "minLength": 1, "maxLength": 1024});
    let texts = |what: &str| json!({"type": "array", "items": text, "description": what});
    let word = json!({"type": "string", "pattern": "^[\\x21\\x23-\\x5B\\x5D-\\x7E]+$"});
    let secret = |what: &str| json!({"type": "string", "minLength": 1, "description": what});
    json!({
        "type": "object",
        "properties": {
            "issuer": {
                "allOf": [url],
                "description": "The provider, spelt as its metadata spell it",
            },
            "client_id": {"allOf": [text], "description": "Our name at the provider"},
            "client_secret": secret("What proves it, for client_secret_basic and client_secret_post"),
            "client_key": secret("What proves it, for private_key_jwt: an RSA key in PEM"),
            "client_key_id": {"allOf": [text], "description": "The `kid` of client_key at the provider"},
            "client_auth": {
                "enum": ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
                "description": "How the provider knows us; by default, what there is a secret for",
            },
            "decryption_key": secret("For encrypted tokens: RSA keys in PEM, the newest first. Tokens that are not encrypted are refused then"),
            "discovery": {
                "type": "boolean",
                "default": true,
                "description": "Whether the provider publishes metadata",
            },
            "jwks_uri": endpoint("Where its keys are"),
            "authorization_endpoint": endpoint("Where the browser goes"),
            "token_endpoint": endpoint("Where codes become tokens"),
            "userinfo_endpoint": endpoint("Where more claims are"),
            "introspection_endpoint": endpoint("Where access tokens are known"),
            "device_authorization_endpoint": endpoint("Where a device begins"),
            "additional_servers": {
                "type": "array",
                "items": url,
                "maxItems": 16,
                "description": "Servers besides the issuer's that the metadata name",
            },
            "scopes": {
                "type": "array",
                "items": word,
                "default": ["openid", "profile", "email"],
                "description": "What to ask for; `openid` is always added",
            },
            "authorization_parameters": {
                "type": "object",
                "additionalProperties": text,
                "propertyNames": {"not": {"enum": super::browser::RESERVED}},
                "description": "More parameters of the authorization request, such as `prompt` or `hd`",
            },
            "acr_values": texts("Ask for one of these ways to log in, and insist on it (`acr`)"),
            "max_age_seconds": {
                "type": "integer",
                "minimum": 0,
                "description": "How long ago somebody may have logged in at the provider",
            },
            "algorithms": {
                "type": "array",
                "items": {"enum": ALGORITHMS},
                "minItems": 1,
                "default": ALGORITHMS,
                "description": "The algorithms that tokens may be signed with",
            },
            "trusted_audiences": texts("Who else an ID token may be for besides us"),
            "bound_claims": BoundClaims::schema(),
            "userinfo": {
                "enum": ["login", "always", "never"],
                "default": "login",
                "description": "When the userinfo endpoint is asked for more claims: when somebody logs in, also when a client shows a token, or never",
            },
            "groups_claim": {
                "type": "string",
                "minLength": 1,
                "default": "groups",
                "description": "The claim with the groups, by name or JSON pointer; it becomes `groups`",
            },
            "bearer_tokens": {
                "type": "array",
                "items": {"enum": ["jwt", "id_token", "introspection", "userinfo"]},
                "default": ["jwt", "id_token", "introspection"],
                "description": "What a client may show. With `userinfo`, every application's access token will do",
            },
            "access_token_audiences": {
                "type": "array",
                "items": text,
                "minItems": 1,
                "description": "Whom an access token that a client shows may be for; by default, us",
            },
            "leeway_seconds": {
                "type": "integer",
                "minimum": 0,
                "maximum": 300,
                "default": 60,
                "description": "How far two clocks may be apart",
            },
        },
        "required": ["issuer", "client_id"],
        "additionalProperties": false,
    })
}
