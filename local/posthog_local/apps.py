"""The Django application that owns the tables."""

from django.apps import AppConfig


class PostHogLocalConfig(AppConfig):
    name = "posthog_local"
    label = "posthog_local"

    def ready(self) -> None:
        from .sources import live  # needs the models

        live.register()
