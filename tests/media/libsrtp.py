"""libsrtp 2 (Debian's libsrtp2-1) by ctypes: the other implementation that SRTP is measured by."""

from __future__ import annotations

import ctypes
import ctypes.util

__all__ = ["SETTERS", "LibSrtp", "Refused", "missing"]

SETTERS = {
    "AES_CM_128_HMAC_SHA1_80": "srtp_crypto_policy_set_rtp_default",
    "AES_CM_128_HMAC_SHA1_32": "srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32",
    "AES_256_CM_HMAC_SHA1_80": "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80",
    "AES_256_CM_HMAC_SHA1_32": "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32",
    "AEAD_AES_128_GCM": "srtp_crypto_policy_set_aes_gcm_128_16_auth",
    "AEAD_AES_256_GCM": "srtp_crypto_policy_set_aes_gcm_256_16_auth",
}
"""The suites by what sets libsrtp's policy for them."""

RTCP_SETTERS = {
    "AES_CM_128_HMAC_SHA1_32": "srtp_crypto_policy_set_rtp_default",
    "AES_256_CM_HMAC_SHA1_32": "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80",
}
"""RFC 4568 §6.2.2: SRTCP's tag has 80 bits there, too."""

ANY_INBOUND, ANY_OUTBOUND = 2, 3
LONGEST_TRAILER = 148


class _Crypto(ctypes.Structure):
    _fields_ = (
        ("cipher_type", ctypes.c_uint32),
        ("cipher_key_len", ctypes.c_int),
        ("auth_type", ctypes.c_uint32),
        ("auth_key_len", ctypes.c_int),
        ("auth_tag_len", ctypes.c_int),
        ("sec_serv", ctypes.c_int),
    )


class _Policy(ctypes.Structure):
    _fields_ = (
        ("ssrc_type", ctypes.c_int),
        ("ssrc", ctypes.c_uint),
        ("rtp", _Crypto),
        ("rtcp", _Crypto),
        ("key", ctypes.c_char_p),
        ("keys", ctypes.c_void_p),
        ("num_master_keys", ctypes.c_ulong),
        ("deprecated_ekt", ctypes.c_void_p),
        ("window_size", ctypes.c_ulong),
        ("allow_repeat_tx", ctypes.c_int),
        ("enc_xtn_hdr", ctypes.c_void_p),
        ("enc_xtn_hdr_count", ctypes.c_int),
        ("next", ctypes.c_void_p),
    )


class Refused(Exception):
    """What libsrtp says to a packet that it does not take: its error number."""


def _library() -> ctypes.CDLL | None:
    name = ctypes.util.find_library("srtp2")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.srtp_init()
    return library


_LIBRARY = _library()


def missing() -> str:
    """Why libsrtp cannot be asked; empty where it can."""
    return "" if _LIBRARY is not None else "no libsrtp2 on this machine (Debian's libsrtp2-1)"


class LibSrtp:
    """One direction under one master key.

    Args:
        suite: Its name in SDES.
        key: Master key and salt.
        sends: Whether packets are to be protected, rather than unprotected.
    """

    def __init__(self, suite: str, key: bytes, *, sends: bool) -> None:
        assert _LIBRARY is not None
        self._session = ctypes.c_void_p()
        policy = _Policy(ssrc_type=ANY_OUTBOUND if sends else ANY_INBOUND, key=key, window_size=128)
        getattr(_LIBRARY, SETTERS[suite])(ctypes.byref(policy.rtp))
        getattr(_LIBRARY, RTCP_SETTERS.get(suite, SETTERS[suite]))(ctypes.byref(policy.rtcp))
        self._check(_LIBRARY.srtp_create(ctypes.byref(self._session), ctypes.byref(policy)))

    def protect(self, packet: bytes) -> bytes:
        """SRTP of an RTP packet."""
        return self._call("srtp_protect", packet)

    def unprotect(self, packet: bytes) -> bytes:
        """RTP of an SRTP packet. `Refused` where it is not authentic, or came before."""
        return self._call("srtp_unprotect", packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """SRTCP of an RTCP compound."""
        return self._call("srtp_protect_rtcp", packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The RTCP compound of an SRTCP packet. `Refused` where it is not authentic, or came before."""
        return self._call("srtp_unprotect_rtcp", packet)

    def close(self) -> None:
        """Let the session go."""
        assert _LIBRARY is not None
        _LIBRARY.srtp_dealloc(self._session)

    def _call(self, name: str, packet: bytes) -> bytes:
        buffer = ctypes.create_string_buffer(packet, len(packet) + LONGEST_TRAILER)
        length = ctypes.c_int(len(packet))
        self._check(getattr(_LIBRARY, name)(self._session, buffer, ctypes.byref(length)))
        return buffer.raw[: length.value]

    @staticmethod
    def _check(status: int) -> None:
        if status:
            raise Refused(status)
