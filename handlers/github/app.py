"""A GitHub App's own token: a JWT of ten minutes at most, signed with its key.

https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

from datetime import datetime, timedelta

from receiver.contract import PermanentError

DRIFT = timedelta(seconds=60)
"""GitHub's advice: begin a minute ago, in case its clock is behind ours."""
LIFE = timedelta(minutes=9)


def app_token(app: str, key: str, now: datetime) -> str:
    """Sign the token with which an App asks for one of its installation.

    Raises:
        PermanentError: the key is invalid, or PyJWT is not installed.
    """
    try:
        import jwt
    except ModuleNotFoundError:
        raise PermanentError(
            "a GitHub App needs the extra github, which is not installed",
            hint="`pip install '.[github]'` in a clone of Postsync, or use a token",
        ) from None

    claims = {"iss": app, "iat": now - DRIFT, "exp": now + LIFE}
    try:
        return jwt.encode(claims, key, algorithm="RS256")
    except (ValueError, TypeError, jwt.InvalidKeyError):
        raise PermanentError(
            "the key of the GitHub App cannot be read",
            hint="it is the PEM file that GitHub gives, whole, with its first and last line",
        ) from None
