"""The parameters of `cloudfront.invalidate`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from receiver.contract import Duration, Filled, Params, Secret, wrong_shape


class CloudFrontInvalidate(Params):
    """Which paths of which distribution, and as whom."""

    distribution: str = Field(description="Id of the distribution.", min_length=1)
    paths: Annotated[tuple[Annotated[str, Field(pattern="^/")], ...], Filled()] = Field(
        description="Paths, each with a leading `/`; one may end in `*`. What CloudFront wants "
        "encoded (non-ASCII characters, and those that RFC 1738 calls unsafe) is encoded, unless "
        "it is already (`%20`)."
    )
    access_key_id: str | None = Field(
        default=None,
        description="Access key; without it that of the receiver: variables `AWS_*`, a web "
        "identity (IRSA on EKS), a profile. The metadata of a machine or pod are not asked.",
    )
    secret_access_key: Secret | None = Field(default=None, description="Its secret.")
    wait: bool = Field(default=False, description="Succeed only when they are completed.")
    every: Duration = Field(default=20.0, ge=5, description="Time between two askings.")
    api: str = Field(default="https://cloudfront.amazonaws.com", description="Address of the API.")

    @model_validator(mode="after")
    def whole_key(self) -> CloudFrontInvalidate:
        """Refuse half a key, in whose place the chain would find another identity."""
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise wrong_shape("accessKeyId and secretAccessKey come together")
        return self
