from __future__ import annotations

from pathlib import Path

import pytest

from receiver.core.errors import SettingsError
from receiver.settings.loading import load_settings, unknown_variables


def test_a_file_is_overruled_by_a_variable_and_that_by_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has camelCase, the environment capitals, the commands their own names."""
    file = tmp_path / "settings.yaml"
    file.write_text("maxBody: 2048\nport: 1\nhost: file\n")
    monkeypatch.setenv("POSTSYNC_PORT", "2")
    monkeypatch.setenv("POSTSYNC_HOST", "variable")
    found = load_settings(file, host="option")
    assert (found.max_body, found.port, found.host) == (2048, 2, "option")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_body: 2048", "max_body is no setting (did you mean maxBody?)"),
        ("maxbody: 2048", "maxbody is no setting (did you mean maxBody?)"),
        ("colour: red", "colour is no setting"),
        (
            "max_body: 1\nfor: x",
            "max_body is no setting (did you mean maxBody?); for is no setting",
        ),
    ],
)
def test_a_key_that_is_no_setting_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    """All of them are told at once, each with what may have been meant."""
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert caught.value.message == f"settings file {file}: {message}"


def test_a_wrong_value_is_told_in_both_spellings(tmp_path: Path) -> None:
    """Whichever of the two it was given by, the reader finds it."""
    file = tmp_path / "settings.yaml"
    file.write_text("maxBody: 1\n")
    with pytest.raises(SettingsError, match=r"maxBody \(POSTSYNC_MAX_BODY\): must be at least"):
        load_settings(file)


@pytest.mark.parametrize("text", ["- a", "a: [", "just text"])
def test_a_file_that_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    """One message that names the file."""
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"settings file .*settings\.yaml"):
        load_settings(file)


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    """As one in which everything is a comment."""
    file = tmp_path / "settings.yaml"
    file.write_text("# maxBody: 1\n")
    assert load_settings(file).model_dump() == load_settings().model_dump()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tlsKey: tls.key", r"tlsKey is set without tlsCertificate \(POSTSYNC_TLS_CERTIFICATE\)"),
        ("tlsCertificate: tls.crt", r"tlsCertificate is set without tlsKey \(POSTSYNC_TLS_KEY\)"),
        ("pageLogin: {userHeader: A, groupsHeader: B}", "pageLogin is set without trustedProxies"),
        (
            "trustedProxies: [10.0.0.1/8]",
            r"trustedProxies \(POSTSYNC_TRUSTED_PROXIES\): must be a network [^;]*$",
        ),
    ],
)
def test_what_is_half_or_doubtful_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """A certificate needs its key, and a network is written as one."""
    file = tmp_path / "settings.yaml"
    file.write_text(text + "\n")
    with pytest.raises(SettingsError, match=message):
        load_settings(file)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("rules", ["rules"]),
        ("rules, more/cdn.yaml,", ["rules", "more/cdn.yaml"]),
        ('["a,b", "rules"]', ["a,b", "rules"]),
    ],
)
def test_a_list_in_a_variable_is_plain_or_json(
    text: str, rules: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As people write one; JSON is for entries that have a comma."""
    monkeypatch.setenv("POSTSYNC_RULES", text)
    monkeypatch.setenv("POSTSYNC_ALLOW_NETWORKS", "10.0.0.0/8,fd00::/8")
    found = load_settings()
    assert found.rules == [*map(Path, rules)]
    assert [*map(str, found.allow_networks)] == ["10.0.0.0/8", "fd00::/8"]


@pytest.mark.parametrize(
    ("variable", "text"),
    [("POSTSYNC_RULES", '["a"'), ("POSTSYNC_RULES", ""), ("POSTSYNC_RATES", "a=1")],
)
def test_what_is_no_list_or_mapping_is_told_with_its_way_out(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable, and shows how a list and a mapping are written."""
    monkeypatch.setenv(variable, text)
    told = rf"{variable} cannot be read \(a list is written as one,two or as JSON: .* a mapping as"
    with pytest.raises(SettingsError, match=told):
        load_settings()


def test_the_file_may_be_named_by_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option's file is taken instead; one that is not there is told with the variable."""
    for port in (1, 2):
        (tmp_path / f"{port}.yaml").write_text(f"port: {port}\n")
    monkeypatch.setenv("POSTSYNC_SETTINGS", str(tmp_path / "1.yaml"))
    assert (load_settings().port, load_settings(tmp_path / "2.yaml").port) == (1, 2)
    monkeypatch.setenv("POSTSYNC_SETTINGS", "nowhere.yaml")
    with pytest.raises(
        SettingsError, match=r"nowhere.yaml .*POSTSYNC_SETTINGS names it; `postsync"
    ):
        load_settings()


def test_relative_paths_of_a_file_begin_at_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it means the same wherever a command is called; a variable's begin there."""
    file = tmp_path / "settings.yaml"
    file.write_text(
        "home: h\nrules: [r, /abs]\ncaBundle: ca.pem\nhost: h\n"
        "argocd: {a: {server: 'https://a', token: {file: t}, caBundle: a.pem}}\n"
    )
    found = load_settings(file)
    assert (found.home, found.ca_bundle, found.host) == (tmp_path / "h", tmp_path / "ca.pem", "h")
    assert found.rules == [tmp_path / "r", Path("/abs")]
    assert found.argocd["a"].ca_bundle == tmp_path / "a.pem"
    monkeypatch.setenv("POSTSYNC_HOME", "here")
    assert load_settings(file).home == Path("here")


def test_what_is_wrong_with_two_settings_is_told_in_plain_words() -> None:
    """Without the words of the library that found it."""
    with pytest.raises(SettingsError, match=r"variables: keepFor \(3600 s\) must be longer"):
        load_settings(keep_for=3600)


def test_a_variable_that_means_nothing_is_found() -> None:
    """With the one that may have been meant; secrets and the commands' variables are known."""
    environ = ["POSTSYNC_MAXBODY", "POSTSYNC_MAX_BODY", "POSTSYNC_SECRET_X", "POSTSYNC_URL", "HOME"]
    assert unknown_variables(environ) == {"POSTSYNC_MAXBODY": "did you mean POSTSYNC_MAX_BODY?"}


def test_a_variable_that_is_a_key_of_a_connection_is_sent_there() -> None:
    """It is another one for each sender."""
    [hint] = unknown_variables(["POSTSYNC_RECOVER_AFTER"]).values()
    assert hint == "recoverAfter is said for each sender, in POSTSYNC_ARGOCD"


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("postsync", "write a path such as /postsync, without a slash at its end"),
        ("/postsync/", "write a path such as /postsync, without a slash at its end"),
        ("/", "write a path such as /postsync, without a slash at its end"),
        ("/../etc", "write a path such as /postsync, without a slash at its end"),
        ("/v1", "/v1 is a path of the server's own; take another, as /postsync"),
        ("/page/postsync", "/page is a path of the server's own; take another, as /postsync"),
    ],
)
def test_a_prefix_is_a_path_of_its_own(
    prefix: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below one of ours, requests without it would lead elsewhere."""
    monkeypatch.setenv("POSTSYNC_URL_PREFIX", prefix)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"urlPrefix (POSTSYNC_URL_PREFIX): {message}" in caught.value.message


def test_the_address_of_the_page_ends_with_the_prefix() -> None:
    """Else links that lead to the page from elsewhere would lead past it."""
    assert load_settings(page_url="https://a.example/ops/", url_prefix="/ops").url_prefix == "/ops"
    with pytest.raises(SettingsError, match=r"below which the page is: https://a\.example/x/ops"):
        load_settings(page_url="https://a.example/x", url_prefix="/ops")
    with pytest.raises(SettingsError, match=r"below which the page is: https://ops/ops"):
        load_settings(page_url="https://ops", url_prefix="/ops")
