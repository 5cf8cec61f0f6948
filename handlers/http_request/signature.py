"""Signs a request as Standard Webhooks says (https://www.standardwebhooks.com)."""

from __future__ import annotations

from datetime import datetime

from receiver.contract import PermanentError


def sign(secret: str, message_id: str, moment: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers.

    Args:
        secret: base 64, with or without ``whsec_``.
        message_id: the same for all attempts, so that the receiver recognises repetitions.
        moment: of this attempt, in UTC: the library signs wrongly for other zones.
        body: as it is sent.

    Raises:
        PermanentError: the secret is no base 64.
    """
    from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

    try:
        signature = Webhook(secret).sign(message_id, moment, body.decode())
    except (ValueError, EmptyWebhookSecretError):
        raise PermanentError("signingSecret is no base 64, as Standard Webhooks has it") from None
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signature,
    }
