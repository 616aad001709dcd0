"""Host, environment and key: where they come from, and what is refused before any request."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .errors import ConfigurationError

DEFAULT_HOST = "https://us.posthog.com"
CURRENT = "@current"
VALIDATE = ("off", "lists", "live")

_INGESTION = re.compile(r"(us|eu)(-assets)?\.i\.posthog\.com")
_NETLOC = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(:[0-9]*)?")
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LIKE_A_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
_KEY = re.compile(r"[!-~]+")
_NUMBER = re.compile(r"([0-9]{1,18})(\.0)?")
_EXAMPLE = "an address such as https://us.posthog.com"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a process needs to talk to one environment of one PostHog; checked, and in one spelling.

    Attributes:
        host: Scheme, host, and port where it is not the usual one, for instance ``https://eu.posthog.com``.
        environment_id: The number of the environment (project) as text, or ``@current``.
        api_key: A personal API key; never part of `repr`.
        request_timeout: Seconds an operation may spend in requests.
        source_timeout: The same for creating a source, while PostHog connects to the database.
        rate_limit_wait: Seconds an operation may spend waiting for PostHog's rate limits.
        validate: What previews ask PostHog: nothing (``off``), which names are taken (``lists``), or also whether the
            connection and tables of a source work (``live``).
    """

    host: str
    environment_id: str
    api_key: str = field(repr=False)
    request_timeout: float = 120.0
    source_timeout: float = 180.0
    rate_limit_wait: float = 3900.0
    validate: str = "lists"

    def __post_init__(self) -> None:
        """Raises ConfigurationError for a host, environment or key that cannot be used."""
        object.__setattr__(self, "host", checked_host(self.host))
        object.__setattr__(self, "environment_id", checked_environment(self.environment_id))
        _check_key(self.api_key)
        if self.validate not in VALIDATE:
            raise ConfigurationError(f"posthog:validate must be one of {', '.join(VALIDATE)}")

    @staticmethod
    def load(config: Callable[[str], str | None], environ: Mapping[str, str]) -> Settings:
        """Reads the settings: stack configuration (or an explicit provider's inputs) first, then environment variables.

        Args:
            config: Gives the value of a key such as ``posthog:host``, or None.
            environ: The environment variables.

        Raises:
            ConfigurationError: Names each missing setting with the command that sets it, or what is wrong with one.
        """
        host = _first(config("posthog:host"), environ.get("POSTHOG_HOST")) or DEFAULT_HOST
        environment = _first(
            config("posthog:environmentId"), environ.get("POSTHOG_ENVIRONMENT_ID"), environ.get("POSTHOG_PROJECT_ID")
        )
        key = _first(config("posthog:apiKey"), environ.get("POSTHOG_PERSONAL_API_KEY"), environ.get("POSTHOG_API_KEY"))
        missing = [text for value, text in ((environment, _NO_ENVIRONMENT), (key, _NO_KEY)) if not value]
        if missing:
            raise ConfigurationError(" ".join(missing))
        timeout = _seconds("posthog:requestTimeout", config, Settings.request_timeout, least=1)
        return Settings(
            host=host,
            environment_id=environment,
            api_key=key,
            request_timeout=timeout,
            source_timeout=max(timeout, Settings.source_timeout),
            rate_limit_wait=_seconds("posthog:rateLimitWait", config, Settings.rate_limit_wait, least=0),
            validate=config("posthog:validate") or Settings.validate,
        )


_NO_ENVIRONMENT = (
    "The PostHog environment is not set: run `pulumi config set posthog:environmentId <id>` "
    "or set POSTHOG_ENVIRONMENT_ID (the number in the address of PostHog's pages, /project/<id>)."
)
_NO_KEY = (
    "The personal API key is not set: run `pulumi config set --secret posthog:apiKey` "
    "or set POSTHOG_PERSONAL_API_KEY (PostHog makes keys under Settings, Personal API keys)."
)


def _first(*values: str | None) -> str:
    return next((value for value in values if value), "")


def _seconds(name: str, config: Callable[[str], str | None], default: float, *, least: float) -> float:
    text = config(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not least <= seconds <= 86_400:
        raise ConfigurationError(f"{name} must be a number of seconds between {least:.0f} and 86400")
    return seconds


_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")
"""Where PostHog is served below a path, as behind a company's proxy."""
_PAGE = re.compile(r"/(?:project|organization|settings|login|signup|api)(?:/|$)")


def checked_host(text: str) -> str:
    """The host in one spelling; refuses what would send the key in clear or to the wrong place.

    Raises:
        ConfigurationError: The value itself is named only where it cannot hold a password.
    """
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError("posthog:host must not contain spaces, control characters or letters outside ASCII")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"posthog:host must be {_EXAMPLE}") from None
    if "@" in parts.netloc:
        raise ConfigurationError("posthog:host must not contain a user name or password")
    if parts.scheme not in ("http", "https") or not _NETLOC.fullmatch(parts.netloc) or port == 0:
        raise ConfigurationError(f"posthog:host must be {_EXAMPLE}")
    name = _checked_name(parts.hostname or "")
    path = parts.path.rstrip("/")
    if parts.query or parts.fragment or not _PATH.fullmatch(path) or _PAGE.match(path):
        raise ConfigurationError(
            f"posthog:host must end after the host: {parts.scheme}://{name}",
            hint="The number in /project/<number> is the environment: `pulumi config set posthog:environmentId <id>`.",
        )
    _refuse_wrong_place(parts.scheme, name)
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{name}{f':{port}' if port and port != usual else ''}{path}"


def _checked_name(name: str) -> str:
    """A host name or IP address in one spelling, IPv6 in brackets."""
    name = name.removesuffix(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        # Anything else that ends in a number is an address to some programs, and a name to others.
        if not _NAME.fullmatch(name) or _LIKE_A_NUMBER.fullmatch(name):
            raise ConfigurationError(f"posthog:host must be {_EXAMPLE}") from None
        return name
    if "%" in name:
        raise ConfigurationError("posthog:host must not contain the name of a network interface")
    return f"[{address}]" if address.version == 6 else str(address)


def _refuse_wrong_place(scheme: str, name: str) -> None:
    if scheme == "http" and not is_loopback(name.strip("[]")):
        raise ConfigurationError(
            f"posthog:host must use https (http would send the key in clear to {name})",
            hint="Only an address of this machine itself, such as http://127.0.0.1:8010, may use http.",
        )
    region = _INGESTION.fullmatch(name)
    if region:
        api = f"https://{region.group(1)}.posthog.com"
        raise ConfigurationError(
            f"posthog:host is {name}, which only takes events",
            hint=f"The API is at {api}: `pulumi config set posthog:host {api}`.",
        )


def is_loopback(name: str) -> bool:
    """Whether a host name (IPv6 without brackets) means this machine itself, without asking a name server."""
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    # Not `is_loopback`: for IPv6 addresses that hold an IPv4 one its answer depends on the version of Python.
    return address == ipaddress.IPv6Address("::1") or address in ipaddress.IPv4Network("127.0.0.0/8")


def checked_environment(text: str) -> str:
    """The id of an environment: a number as text, or ``@current``.

    Raises:
        ConfigurationError: For anything else.
    """
    text = text.strip()
    number = _NUMBER.fullmatch(text)
    if number:
        return str(int(number.group(1)))
    if text != CURRENT:
        raise ConfigurationError(
            "posthog:environmentId must be the number of an environment (in the address of PostHog's pages, "
            f"/project/<id>) or {CURRENT}"
        )
    return text


def _check_key(key: str) -> None:
    if not _KEY.fullmatch(key) or any(char in key for char in "\"'`\\"):
        raise ConfigurationError(
            "the personal API key contains characters that no key has (a space, a quote or a line break)",
            hint="Copy it again and run `pulumi config set --secret posthog:apiKey`.",
        )
    if len(key) > 1000:
        raise ConfigurationError("the personal API key is longer than any key can be")
    if key.startswith("phc_"):
        raise ConfigurationError(
            "the key is a project key (phc_...), which can only send events",
            hint="The API needs a personal key (phx_...): PostHog makes them under Settings, Personal API keys.",
        )
