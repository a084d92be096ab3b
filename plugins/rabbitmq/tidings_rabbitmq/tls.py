"""TLS settings that both backends share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, FilePath, model_validator

from tidings.plugins import Settings, escaping_logger

if TYPE_CHECKING:
    import ssl

    from tidings_rabbitmq.address import Address

log = escaping_logger("tidings.rabbitmq")


class TlsSettings(Settings):
    """Whom to trust and who we are, if the URL asks for TLS."""

    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authority that signed the broker's certificate; without it "
        "the system's authorities are trusted.",
    )
    certificate_file: FilePath | None = Field(
        default=None, description="PEM file of our own certificate, if the broker asks for one."
    )
    key_file: FilePath | None = Field(
        default=None,
        description="PEM file of our certificate's key, if certificate_file doesn't hold it.",
    )
    verify: bool = Field(
        default=True,
        description="Check the broker's certificate and host name. Without it anybody on the way "
        "can read and change everything; each connection then logs a warning.",
    )

    @model_validator(mode="after")
    def _key_belongs_to_a_certificate(self) -> Self:
        if self.key_file and not self.certificate_file:
            raise ValueError("key_file is set, and certificate_file is not")
        return self

    def require_tls_if_set(self, address: Address, tls_scheme: str) -> None:
        """Raise ``ValueError`` if TLS is configured and the URL would not use it."""
        if address.tls:
            return
        for name in ("ca_file", "certificate_file", "verify"):
            if name in self.model_fields_set:
                raise ValueError(
                    f"{name} is set, but the url does not use TLS: begin it with {tls_scheme}://"
                )

    def ssl_context(self, address: Address) -> ssl.SSLContext | None:
        """Return what the connection is to be wrapped in, or ``None`` without TLS.

        Raises ``ssl.SSLError`` if a file is not what it should be.
        """
        if not address.tls:
            return None
        import ssl  # noqa: PLC0415 - takes its time, and few need it

        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file)
        if not self.verify:
            log.warning("The certificate of %s:%s is not checked.", address.host, address.port)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
