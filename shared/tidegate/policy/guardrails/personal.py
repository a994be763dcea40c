"""Finds e-mail addresses, telephone numbers, IBANs and card numbers in a text, each in linear time.

IBANs and cards are verified by check digits, to leave other numbers alone. Sources: RFC 5322 and 1035 for the
shape of addresses; ITU-T E.164; ISO 13616 with SWIFT's IBAN registry (2026) for lengths; ISO/IEC 7812 for card numbers.
"""

import re
from collections.abc import Iterator

from tidegate.domain.guardrails import Finding

_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+\Z")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?![\w-])", re.I)
_LOCAL_LENGTH = 64

_INTERNATIONAL = re.compile(r"(?<![\w+./=-])(?<!\d )(?:\+|00)[1-9](?:[ ./()-]{0,2}\d){6,13}(?![\w=]|[ .,/:-]\d)")
_NATIONAL = re.compile(
    r"""(?<![\w+.,:/=()-])(?<!\d[ ])(?:
        \(\d{3}\)[ ]?\d{3}[ .-]\d{4}                 # (555) 010-0199
      | [2-9]\d{2}([ .-])[2-9]\d{2}\1\d{4}           # 555-010-0199
      | 0[1-9](?:([ .])\d{2})(?:\2\d{2}){3}          # 01 23 45 67 89
      | \(?0[1-9]\d{1,4}\)?[ ]?[/-][ ]?\d{2,9}(?:[ -]\d{2,6}){0,2}  # 030/1234567, (0221) - 12 34 56
      | 0[1-9]\d{1,4}[ ]\d{3,4}[ ]?\d{3,6}           # 020 7946 0958, 07700 900123
    )(?![\w=]|[ .,/:-]\d)""",
    re.VERBOSE,
)
_PHONE_DIGITS = range(7, 16)

_IBAN_START = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?=[ -]?[A-Z0-9])", re.IGNORECASE)
_IBAN_SPAN = 60
_LENGTHS = (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22"
    "GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20"
    "MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26"
    "UA29VA22VG24XK20YE30"
)
_IBAN_LENGTHS = {_LENGTHS[i : i + 2]: int(_LENGTHS[i + 2 : i + 4]) for i in range(0, len(_LENGTHS), 4)}

_CARD = re.compile(
    r"(?<![\w.+/=-])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|3\d{3}([ -])\d{6}\2\d{4,5})(?![\w=]|[.,/-]\d)"
)


def find_emails(text: str) -> Iterator[Finding]:
    """Find e-mail addresses, also with letters beyond ASCII."""
    begin = 0
    while (at := text.find("@", begin)) != -1:
        local = _LOCAL.search(text, max(begin, at - _LOCAL_LENGTH), at) if at > begin else None
        domain = _DOMAIN.match(text, at + 1) if local else None
        begin = at + 1
        if local and domain:
            stray = len(local[0]) - len(local[0].lstrip(".'`"))
            begin = domain.end()
            if stray < len(local[0]):
                yield Finding(local.start() + stray, begin, "[EMAIL]")


def find_phones(text: str) -> Iterator[Finding]:
    """Find international numbers, and national ones in the formats in which people write them.

    Digits without separators are not taken as a telephone number: too much else looks like that.
    """
    for pattern in (_INTERNATIONAL, _NATIONAL):
        for match in pattern.finditer(text):
            if sum(character.isdigit() for character in match[0]) in _PHONE_DIGITS:
                yield Finding(match.start(), match.end(), "[PHONE]")


def find_ibans(text: str) -> Iterator[Finding]:
    """Find IBANs of their country's length with correct check digits, with or without blanks."""
    for match in _IBAN_START.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        end = None if length is None else _end_of(text, match.start(), length)
        if end is not None and _is_iban(_compact(text[match.start() : end])):
            yield Finding(match.start(), end, "[IBAN]")


def find_cards(text: str) -> Iterator[Finding]:
    """Find card numbers: 13 to 19 digits, grouped as on a card, in an issuer's range, with a correct check digit."""
    for match in _CARD.finditer(text):
        digits = _compact(match[0])
        if 13 <= len(digits) <= 19 and _is_issued(digits) and _luhn(digits):
            yield Finding(match.start(), match.end(), "[CARD]")


def _end_of(text: str, start: int, length: int) -> int | None:
    """Return the position after `length` letters and digits, which single blanks or hyphens may separate."""
    count, gap = 0, False
    for i in range(start, min(len(text), start + _IBAN_SPAN)):
        character = text[i]
        if character in " -":
            if gap:
                return None
            gap = True
            continue
        if not (character.isascii() and character.isalnum()):
            return None
        count, gap = count + 1, False
        if count == length:
            follows = text[i + 1 : i + 2]
            return None if follows.isalnum() else i + 1
    return None


def _compact(number: str) -> str:
    return number.replace(" ", "").replace("-", "").upper()


def _is_iban(number: str) -> bool:
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97 == 1


def _is_issued(digits: str) -> bool:
    """True for a range of Visa, Mastercard, American Express, Diners, JCB, Discover, Maestro or UnionPay."""
    return digits[0] in "456" or 2221 <= int(digits[:4]) <= 2720 or digits[:2] in ("30", "34", "35", "36", "37", "38")


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(each - 9 if each > 9 else each for each in doubled)) % 10 == 0
