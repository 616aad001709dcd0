"""An explicit environment for resources."""

from __future__ import annotations

from typing import Any, Literal, cast

import pulumi


class Provider(pulumi.ProviderResource):
    """One PostHog environment with its key, given to resources by ``ResourceOptions(provider=...)``.

    One program can so serve several environments. Whatever is left out comes from the stack's configuration
    (``posthog:host``, ``posthog:environmentId``, ``posthog:apiKey``), then from the environment variables
    POSTHOG_HOST, POSTHOG_ENVIRONMENT_ID and POSTHOG_PERSONAL_API_KEY.
    """

    def __init__(
        self,
        resource_name: str,
        opts: pulumi.ResourceOptions | None = None,
        *,
        host: pulumi.Input[str] | None = None,
        environment_id: pulumi.Input[str] | pulumi.Input[int] | None = None,
        api_key: pulumi.Input[str] | None = None,
        request_timeout: pulumi.Input[float] | None = None,
        rate_limit_wait: pulumi.Input[float] | None = None,
        validate: pulumi.Input[Literal["off", "lists", "live"]] | None = None,
    ) -> None:
        """Declares an environment.

        Args:
            resource_name: The name of the provider in the stack.
            opts: Pulumi's options.
            host: The address of PostHog, for instance ``https://eu.posthog.com``.
            environment_id: The number of the environment (project), or ``@current``.
            api_key: A personal API key; always secret in state.
            request_timeout: Seconds an operation may spend in requests.
            rate_limit_wait: Seconds an operation may spend waiting for PostHog's rate limits.
            validate: What previews ask PostHog: nothing (``off``), which names are taken (``lists``), or also whether
                the connection and tables of a source work (``live``).
        """
        config = pulumi.Config("posthog")
        key = pulumi.Output.secret(api_key) if api_key is not None else config.get_secret("apiKey")
        given = {
            "posthog:host": _or(host, config.get("host")),
            "posthog:environmentId": _or(environment_id, config.get("environmentId")),
            "posthog:apiKey": key,
            "posthog:requestTimeout": _or(request_timeout, config.get("requestTimeout")),
            "posthog:rateLimitWait": _or(rate_limit_wait, config.get("rateLimitWait")),
            "posthog:validate": _or(validate, config.get("validate")),
        }
        # What the functions ask with: the same, and the key as it was given.
        self._settings = {**given, "posthog:apiKey": config.get("apiKey") if api_key is None else api_key}
        super().__init__("pulumi-python", resource_name, given, opts)


def _or(value: object, fallback: str | None) -> object:
    """The value as text, since configuration is text, or the stack's own."""
    if value is None:
        return fallback
    if isinstance(value, pulumi.Output):
        return cast("pulumi.Output[Any]", value).apply(str)
    return str(value)
