"""Names under which people keep credentials: headers of HTTP, and keys of JSON, YAML and forms."""

from __future__ import annotations

import re

HEADERS = frozenset(
    {
        *("authorization", "proxy-authorization", "cookie", "x-authorization"),
        *("api-key", "apikey", "x-api-key", "x-apikey", "x-api-token", "x-api-secret"),
        *("x-access-token", "x-access-key", "x-auth-token", "x-auth-key", "x-secret-key"),
        *("private-token", "deploy-token", "job-token", "x-gitlab-token", "x-github-token"),
        *("circle-token", "x-jfrog-art-api", "x-octopus-apikey", "x-rundeck-auth-token"),
        *("x-amz-security-token", "x-goog-api-key", "x-goog-iam-authorization-token"),
        *("ocp-apim-subscription-key", "x-functions-key", "accesskey", "fastly-key"),
        *("dd-api-key", "dd-application-key", "x-honeycomb-team", "x-sf-token"),
        *("x-vault-token", "x-consul-token", "x-nomad-token", "x-shopify-access-token"),
    }
)
"""Headers, in lower case, that have a credential for their value: those of RFC 9110 and RFC 6265,
and those that services use instead."""

_ENDS = (
    *("password", "passwd", "passphrase", "secret", "apikey", "secretkey", "privatekey"),
    *("accesskey", "accesstoken", "authtoken", "apitoken", "bearertoken", "refreshtoken"),
)
_WHOLE = frozenset({"pwd", "token", "authorization", "authkey", "credential", "credentials"})
_SEPARATORS = re.compile(r"[-_.\s]+")


def names_a_credential(key: str) -> bool:
    """Whether a key says of its value that it is a credential: `password`, `api_key`, `dbPassword`.

    A word like `token` in a longer name says so only where it is an access token or the like:
    `pageToken` is none.
    """
    word = _SEPARATORS.sub("", key).lower()
    return word in _WHOLE or word.endswith(_ENDS)
