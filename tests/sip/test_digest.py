"""Digest in both roles through the extension: vectors, what is supported, what is refused, what is never shown."""

from __future__ import annotations

import pytest

from _trunkline import Challenge, Credentials, SipParseError, digest_ha1

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def rfc7616(algorithm: str) -> Challenge:
    return Challenge.parse(
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE}", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )


def authorize(challenge: Challenge, *, password: str | None = "Circle of Life", ha1: str | None = None) -> str:
    return challenge.authorize(
        username="Mufasa", password=password, ha1=ha1, method="GET", uri="/dir/index.html", cnonce=CNONCE
    )


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc7616_section_3_9_1(algorithm: str, response: str) -> None:
    value = authorize(rfc7616(algorithm))
    assert f'response="{response}"' in value
    assert f"algorithm={algorithm}" in value
    assert "qop=auth, nc=00000001" in value
    credentials = Credentials.parse(value)
    ha1 = digest_ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
    assert credentials.verify(ha1, "GET")
    assert not credentials.verify(ha1, "POST")
    assert not credentials.verify(digest_ha1("Mufasa", "http-auth@example.org", "circle of life", algorithm), "GET")
    assert not credentials.verify(ha1[:-1], "GET")


def test_challenge_properties() -> None:
    challenge = Challenge.parse('Digest realm="a \\"b\\"", nonce="n", qop="auth-int,auth", stale=TRUE')
    assert (challenge.realm, challenge.nonce, challenge.algorithm) == ('a "b"', "n", "MD5")
    assert (challenge.qop, challenge.stale, challenge.opaque, challenge.supported) == (
        ("auth-int", "auth"),
        True,
        None,
        True,
    )


def test_credentials_properties() -> None:
    credentials = Credentials.parse(authorize(rfc7616("SHA-256")))
    assert (credentials.username, credentials.realm, credentials.nonce) == ("Mufasa", "http-auth@example.org", NONCE)
    assert (credentials.uri, credentials.algorithm) == ("/dir/index.html", "SHA-256")
    assert (credentials.qop, credentials.nonce_count) == ("auth", 1)


def test_ha1_serves_instead_of_the_password() -> None:
    ha1 = digest_ha1("Mufasa", "http-auth@example.org", "Circle of Life")
    assert authorize(rfc7616("MD5"), password=None, ha1=ha1) == authorize(rfc7616("MD5"))
    with pytest.raises(ValueError, match="password or ha1"):
        authorize(rfc7616("MD5"), password=None)
    with pytest.raises(ValueError, match="algorithm"):
        authorize(rfc7616("SHA-256"), password=None, ha1=ha1)


@pytest.mark.parametrize("rest", ["algorithm=MD5-sess", "algorithm=SHA-512-256", 'qop="auth-int"'])
def test_what_cannot_be_answered_is_not_supported(rest: str) -> None:
    challenge = Challenge.parse(f'Digest realm="r", nonce="n", {rest}')
    assert not challenge.supported
    with pytest.raises(ValueError, match="not supported"):
        authorize(challenge)


def test_without_qop_rfc2069_is_spoken() -> None:
    value = authorize(Challenge.parse('Digest realm="r", nonce="n"'))
    assert "qop" not in value
    assert "cnonce" not in value
    credentials = Credentials.parse(value)
    assert (credentials.qop, credentials.nonce_count) == (None, None)
    assert credentials.verify(digest_ha1("Mufasa", "r", "Circle of Life"), "GET")


@pytest.mark.parametrize(
    "text", ["", 'Basic realm="r"', 'Digest realm="r"', 'Digest realm="r', 'Digest realm="r" nonce="n"']
)
def test_a_malformed_challenge_is_a_parse_error(text: str) -> None:
    with pytest.raises(SipParseError) as caught:
        Challenge.parse(text)
    assert caught.value.status == 400
    assert caught.value.reason


def test_reprs_show_no_secret() -> None:
    value = authorize(rfc7616("MD5"))
    shown = repr(Credentials.parse(value))
    assert "Mufasa" in shown
    assert "8ca523f5" not in shown
    assert CNONCE not in shown


def test_ha1_of_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        digest_ha1("u", "r", "p", "SHA-1")
