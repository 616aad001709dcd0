"""Django settings, configured in code: there is no settings file, no manage.py and no admin."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import django
from django.conf import settings

PACKAGE = "posthog_local"

# A reader waits this long for a writer of another thread or worker process before SQLite gives up.
BUSY_TIMEOUT_SECONDS = 30


def configure(data_file: Path, *, allowed_hosts: list[str]) -> None:
    """Point Django at the data file and load it. May be called once per process."""
    settings.configure(
        DEBUG=False,
        SECRET_KEY="unused: nothing is signed here",
        ALLOWED_HOSTS=allowed_hosts,
        ROOT_URLCONF=f"{PACKAGE}.urls",
        INSTALLED_APPS=[PACKAGE],
        MIDDLEWARE=[
            f"{PACKAGE}.web_pages.WebPages",
            f"{PACKAGE}.environments.EnvironmentsAlias",
            f"{PACKAGE}.rate_limits.RateLimits",
            f"{PACKAGE}.faults.Rehearsal",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [Path(__file__).with_name("templates")],
            }
        ],
        APPEND_SLASH=False,
        DATA_UPLOAD_MAX_MEMORY_SIZE=None,  # the server in front has its own limit
        USE_TZ=True,
        TIME_ZONE="UTC",
        USE_I18N=False,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(data_file),
                "CONN_MAX_AGE": None,
                "OPTIONS": {
                    "timeout": BUSY_TIMEOUT_SECONDS,
                    # A transaction takes the write lock at once, so that a check and the write that
                    # relies on it cannot be separated by another thread or worker.
                    "transaction_mode": "IMMEDIATE",
                    # WAL + NORMAL: what was answered survives SIGKILL (the pages are the kernel's by
                    # then); only a power cut can take back the last commits.
                    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
                },
            }
        },
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"stderr": {"class": "logging.StreamHandler"}},
            "loggers": {
                "django": {"handlers": ["stderr"], "level": "ERROR"},
                PACKAGE: {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            },
        },
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [f"{PACKAGE}.auth.PersonalKeyAuthentication"],
            "DEFAULT_RENDERER_CLASSES": [f"{PACKAGE}.rendering.JSONRenderer"],
            "DEFAULT_PARSER_CLASSES": [
                f"{PACKAGE}.rendering.JSONParser",
                "rest_framework.parsers.FormParser",
                "rest_framework.parsers.MultiPartParser",
            ],
            "EXCEPTION_HANDLER": f"{PACKAGE}.errors.exception_handler",
            "UNAUTHENTICATED_USER": None,
            "UNAUTHENTICATED_TOKEN": None,
        },
        EXCEPTIONS_HOG={"EXCEPTION_REPORTING": f"{PACKAGE}.errors.report_exception"},
    )
    with _without("django.contrib.postgres", "requests"):
        importlib.import_module("rest_framework.compat")
    django.setup()


@contextlib.contextmanager
def _without(*names: str) -> Iterator[None]:
    """REST framework looks for parts that this server has no use for; finding them is half of its start."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not there
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
