"""Where settings come from, and what is refused before any request."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pulumi_posthog_provider.errors import ConfigurationError
from pulumi_posthog_provider.settings import Settings, checked_environment, checked_host, is_loopback

KEY = "phx_sentinel_key"
CONFIG = {"posthog:host": "https://config.example", "posthog:environmentId": "1", "posthog:apiKey": "phx_config"}
ENVIRON = {
    "POSTHOG_HOST": "https://environ.example",
    "POSTHOG_ENVIRONMENT_ID": "2",
    "POSTHOG_PERSONAL_API_KEY": "phx_environ",
}
TERRAFORM = {"POSTHOG_PROJECT_ID": "3", "POSTHOG_API_KEY": "phx_terraform"}


def loaded(config: dict[str, str] | None = None, **environ: str) -> Settings:
    return Settings.load((config or {}).get, environ)


def refused(config: dict[str, str] | None = None, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(config, **environ)
    return str(caught.value)


def place(found: Settings) -> tuple[str, str, str]:
    return found.host, found.environment_id, found.api_key


# ---- where they come from -----------------------------------------------------------------------------------------


def test_stack_configuration_wins() -> None:
    assert place(loaded(CONFIG, **ENVIRON, **TERRAFORM)) == ("https://config.example", "1", "phx_config")


def test_environment_variables_fill_in() -> None:
    assert place(loaded(**ENVIRON, **TERRAFORM)) == ("https://environ.example", "2", "phx_environ")


def test_the_variables_of_the_terraform_provider_come_last() -> None:
    assert place(loaded(**TERRAFORM)) == ("https://us.posthog.com", "3", "phx_terraform")


def test_an_empty_value_is_no_value() -> None:
    empty = dict.fromkeys(CONFIG, "")
    assert place(loaded(empty, **ENVIRON)) == ("https://environ.example", "2", "phx_environ")


def test_everything_that_is_missing_is_named_at_once_with_the_command_that_sets_it() -> None:
    text = refused()
    assert "pulumi config set posthog:environmentId" in text
    assert "pulumi config set --secret posthog:apiKey" in text


def test_only_what_is_missing_is_named() -> None:
    assert "apiKey" not in refused({"posthog:apiKey": KEY})


def test_the_default_times_are_those_of_the_documentation() -> None:
    found = loaded(CONFIG)
    assert (found.request_timeout, found.source_timeout, found.rate_limit_wait) == (120, 180, 3900)


def test_a_longer_request_time_holds_for_creating_a_source_too() -> None:
    found = loaded({**CONFIG, "posthog:requestTimeout": "600"})
    assert (found.request_timeout, found.source_timeout) == (600, 600)


def test_a_shorter_request_time_leaves_a_source_its_time() -> None:
    found = loaded({**CONFIG, "posthog:requestTimeout": "10"})
    assert (found.request_timeout, found.source_timeout) == (10, 180)


def test_waiting_for_rate_limits_can_be_switched_off() -> None:
    assert loaded({**CONFIG, "posthog:rateLimitWait": "0"}).rate_limit_wait == 0


@pytest.mark.parametrize("name", ["posthog:requestTimeout", "posthog:rateLimitWait"])
@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e9"])
def test_a_time_that_makes_no_sense_is_refused(name: str, text: str) -> None:
    assert f"{name} must be a number of seconds" in refused({**CONFIG, name: text})


# ---- the key ------------------------------------------------------------------------------------------------------


@pytest.mark.fault(47, 58)
@pytest.mark.parametrize(
    "key",
    [
        f"{KEY}\n",
        f"{KEY}\r\nX-Evil: 1",
        f" {KEY}",
        f"{KEY} {KEY}",
        f"{KEY}\t",
        f'"{KEY}"',
        f"'{KEY}'",
        f"\u201c{KEY}\u201d",
        f"{KEY}\u2019",
        f"{KEY}\u200b",
        f"{KEY}\xa0",
        f"{KEY}\x00",
        f"{KEY}\\n",
        f"{KEY}\ud800",
    ],
)
def test_a_key_with_characters_that_no_key_has_is_refused_without_being_shown(key: str) -> None:
    text = refused({**CONFIG, "posthog:apiKey": key})
    assert "characters that no key has" in text
    assert KEY not in text


@pytest.mark.fault(47)
def test_a_key_that_is_far_too_long_is_refused_without_being_shown() -> None:
    text = refused({**CONFIG, "posthog:apiKey": KEY * 700})
    assert "longer than any key" in text
    assert KEY not in text


@pytest.mark.fault(22)
def test_a_project_key_is_told_from_a_personal_one_without_being_shown() -> None:
    text = refused({**CONFIG, "posthog:apiKey": "phc_sentinel"})
    assert "project key (phc_...)" in text
    assert "sentinel" not in text


def test_the_key_is_not_part_of_repr() -> None:
    assert KEY not in repr(Settings(host="https://a.example", environment_id="1", api_key=KEY))


def test_settings_made_by_hand_are_checked_too() -> None:
    with pytest.raises(ConfigurationError):
        Settings(host="http://a.example", environment_id="1", api_key=KEY)
    with pytest.raises(ConfigurationError):
        Settings(host="https://a.example", environment_id="one", api_key=KEY)
    with pytest.raises(ConfigurationError):
        Settings(host="https://a.example", environment_id="1", api_key=f"{KEY}\n")


# ---- the environment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "id"), [("7", "7"), (" 7 ", "7"), ("7.0", "7"), ("007", "7"), ("@current", "@current")]
)
def test_an_environment_has_one_spelling(text: str, id: str) -> None:
    assert checked_environment(text) == id


@pytest.mark.parametrize("text", ["", " ", "one", "-1", "1.5", "1e3", "٣", "1/2", "..", "current", "1\n2", "9" * 30])
def test_anything_else_is_no_environment(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must be the number of an environment"):
        checked_environment(text)


# ---- the host -----------------------------------------------------------------------------------------------------


@pytest.mark.feature(47)
@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://us.posthog.com", "https://us.posthog.com"),
        ("https://us.posthog.com/", "https://us.posthog.com"),
        ("HTTPS://EU.PostHog.com", "https://eu.posthog.com"),
        ("https://us.posthog.com:443", "https://us.posthog.com"),
        ("https://us.posthog.com:8443", "https://us.posthog.com:8443"),
        ("https://us.posthog.com.", "https://us.posthog.com"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://posthog_web:8000", "https://posthog_web:8000"),
        ("https://10.0.0.5", "https://10.0.0.5"),
        ("https://[2001:DB8:0:0::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://127.0.0.1:8010", "http://127.0.0.1:8010"),
        ("http://127.1.2.3", "http://127.1.2.3"),
        ("http://localhost:80", "http://localhost"),
        ("http://LOCALHOST.:8010/", "http://localhost:8010"),
        ("http://[::1]:8010", "http://[::1]:8010"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
    ],
)
def test_a_host_has_one_spelling(text: str, host: str) -> None:
    assert checked_host(text) == host


@pytest.mark.fault(53)
@pytest.mark.parametrize(
    "text",
    [
        "http://us.posthog.com",
        "http://127.0.0.1.evil.test",
        "http://localhost.evil.test",
        "http://10.0.0.5",
        "http://0.0.0.0:8010",
        "http://[::ffff:127.0.0.1]",
        "http://[::]",
        "http://[fe80::1]",
    ],
)
def test_the_key_is_not_sent_in_clear_to_another_machine(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must use https"):
        checked_host(text)


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    "text",
    [
        "http://localhost@evil.test",
        "https://user:sentinel-pw@us.posthog.com",
        "https://sentinel-pw@us.posthog.com",
        "https://@us.posthog.com",
        "https://us.posthog.com\\@evil.test",
    ],
)
def test_a_host_with_a_login_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must not contain a user name or password") as caught:
        checked_host(text)
    assert "sentinel" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "us.posthog.com",
        "us.posthog.com:443",
        "//us.posthog.com",
        "ftp://us.posthog.com",
        "file:///etc/passwd",
        "https://",
        "https://:443",
        "https://us.posthog.com:0",
        "https://us.posthog.com:99999",
        "https://us.posthog.com:x",
        "https://us..posthog.com",
        "https://-us.posthog.com",
        f"https://{'a' * 64}.posthog.com",
        "https://us.posthog.com\\.evil.test",
        "https://[::1",
        "https://[::1]evil.test",
        "https://%6cocalhost",
        "https://*.posthog.com",
        # Spellings of 127.0.0.1 that some programs understand.
        "http://0177.0.0.1",
        "http://2130706433",
        "http://0x7f000001",
        "http://0x7f.1",
        "http://127.1",
        "http://127.0.0.1..",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must be an address such as"):
        checked_host(text)


@pytest.mark.fault(58)
@pytest.mark.parametrize(
    "text",
    [
        "https://us.posthog.com\n",
        "https://us.posthog.com\r\nHost: evil.test",
        " https://us.posthog.com",
        "https://us.posthog.com\t",
        "https://us.posthog.com\x00",
        "https://us.posthog\u3002com",
        "https://\uff55s.posthog.com",
        "https://b\xfccher.example",
        "https://us.posthog.com\u202e",
    ],
)
def test_a_host_with_hidden_or_foreign_characters_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must not contain spaces, control characters"):
        checked_host(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://data.example.com/posthog/", "https://data.example.com/posthog"),
        ("https://data.example.com:8443/a/b", "https://data.example.com:8443/a/b"),
    ],
)
def test_a_path_in_front_of_posthog_is_kept(text: str, host: str) -> None:
    assert checked_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "https://us.posthog.com/project/123",
        "https://us.posthog.com/api",
        "https://us.posthog.com/../x",
        "https://us.posthog.com?x=1",
        "https://us.posthog.com#x",
    ],
)
def test_the_address_of_a_page_is_told_from_a_host(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"must end after the host: https://us\.posthog\.com\."):
        checked_host(text)


@pytest.mark.parametrize(
    ("name", "api"),
    [
        ("us.i.posthog.com", "https://us.posthog.com"),
        ("eu.i.posthog.com", "https://eu.posthog.com"),
        ("us-assets.i.posthog.com", "https://us.posthog.com"),
    ],
)
def test_a_host_for_events_is_told_from_that_of_the_api(name: str, api: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked_host(f"https://{name}")
    assert f"`pulumi config set posthog:host {api}`" in str(caught.value)


def test_the_name_of_a_network_interface_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        checked_host("http://[::1%25lo]")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.255.255.254", "::1"])
def test_these_are_this_machine(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.fault(53)
@pytest.mark.parametrize("name", ["", "localhost.evil.test", "128.0.0.1", "0.0.0.0", "::", "::2", "::ffff:127.0.0.1"])
def test_these_are_not_this_machine(name: str) -> None:
    assert not is_loopback(name)


ADDRESSES = st.from_regex(r"\A(https?://)?[\w.:@\[\]%/\\?#*-]{0,30}\Z") | st.text(max_size=40)


@settings(max_examples=150, deadline=None, database=None)
@example("http://localhost:8010")
@given(ADDRESSES | st.builds("https://{}".format, st.text(max_size=20)))
def test_any_text_is_a_host_or_refused_and_a_checked_host_stays_what_it_is(text: str) -> None:
    try:
        host = checked_host(text)
    except ConfigurationError:
        return
    assert checked_host(host) == host
    assert (
        host.startswith("https://")
        or is_loopback(host.removeprefix("http://").rsplit(":", 1)[0].strip("[]"))
        or (is_loopback(host.removeprefix("http://").strip("[]")))
    )
