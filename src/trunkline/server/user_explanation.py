"""Explains why a phone's REGISTER was refused: a table of causes, each with the rule and with what to change.

`registrar` asks for it when it tells `RegisterUserFailed`. The phone gets the status alone: what the log may say of an
unknown name helps whoever guesses names.
"""

from __future__ import annotations

from trunkline.explanation import Explanation, Row
from trunkline.server.register_request import RegisterRequest
from trunkline.server.registration import Fault, RegisterRefused
from trunkline.sip.shown import short

__all__ = ["explain_refusal"]

_OF_FAULT = {
    Fault.DOMAIN: Row(
        "user {user}: the phone registers in the domain {domain}, which is none of ours",
        "RFC 3261 §10.3, steps 1 and 5",
        "set the phone's domain to realm of the server, or add {domain} to domains",
    ),
    Fault.UNKNOWN_USER: Row(
        "user {login}: there is no user of that name",
        "RFC 3261 §10.3, step 3",
        "check the phone's user name, or add the user",
    ),
    Fault.PASSWORD: Row(
        "user {login}: the phone's password is wrong", "RFC 3261 §22.4", "set the user's password in the phone"
    ),
    Fault.REALM: Row(
        "user {login}: the phone answers for the realm {realm}, which is not ours",
        "RFC 3261 §22.4",
        "set the phone's realm to realm of the server, or leave it empty",
    ),
    Fault.ALGORITHM: Row(
        "user {login}: the phone answers by another digest algorithm than it is asked for",
        "RFC 7616 §3.7",
        "set digest_algorithm of the server to what the phone can",
    ),
    Fault.OTHER_USER: Row(
        "user {login} may not register for {user}",
        "RFC 3261 §10.3, step 4",
        "give the phone one name as user and as authentication user, or decide in on_register_user",
    ),
    Fault.CONTACTS: Row(
        "user {user}: the phone registers more contacts than the user may have",
        "our rule: max_contacts",
        "raise max_contacts of the user, or have phones unregister",
    ),
    Fault.TOO_BRIEF: Row(
        "user {user}: the phone asks for a registration that is too brief",
        "RFC 3261 §10.3, step 7",
        "raise the phone's registration time, or lower the first of registration_expiry_s; most phones do the former alone",
    ),
    Fault.OUT_OF_ORDER: Row(
        "user {user}: a newer REGISTER was here before",
        "RFC 3261 §10.3, step 7",
        "if it goes on, two phones use one Call-ID: restart them",
    ),
    Fault.MALFORMED: Row(
        "user {user}: the phone's REGISTER is malformed: {reason}", "RFC 3261 §10.3, step 6", "update the phone"
    ),
    Fault.ATTACHED: Row(
        "user {user}: the application attached the phone to a user that does not exist",
        "our rule: RegisterRequest.attach",
        "attach it to a user that was added",
    ),
    Fault.APPLICATION: Row("user {user}: the application refused it", "our rule: on_register_user", ""),
}


def explain_refusal(pending: RegisterRequest, refused: RegisterRefused) -> Explanation:
    """Why a REGISTER was refused. Nothing in it is secret.

    Args:
        pending: The REGISTER.
        refused: How it was answered, and for which fault.
    """
    credentials = pending.request.credentials
    user = short(pending.user) or "without name"
    words = {
        "user": user,
        "domain": short(pending.domain),
        "login": short(credentials.username) if credentials is not None else user,
        "realm": short(credentials.realm) if credentials is not None else "",
        "reason": refused.reason,
    }
    answered = f"{refused.status} {refused.reason}".rstrip()
    came = f"REGISTER for {user}@{words['domain']} from {pending.from_ip}:{pending.from_port}"
    return _OF_FAULT[refused.fault].explanation(words, sent=answered, received=came)
