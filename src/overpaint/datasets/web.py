"""Web: documents and pictures of other people's servers, asked for politely.

One after the other, not more often than `rate` times in a second; a server that is busy is given
the time that it asks for, and one that does not answer is left alone.
"""

import hashlib
import ipaddress
import socket
import time
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import InvalidHeader, LocationValueError
from urllib3.util import Retry

from overpaint.cache import TIMEOUT, first_line
from overpaint.datasets.iiif import Json
from overpaint.files import LARGEST_JSON, json_from
from overpaint.progress import duration
from overpaint.records import read_json, write_json

TRIES = 4

PAUSE = 1.0
"""Seconds after the first failure; after each further one twice as long."""

PATIENCE = 120.0
"""The most seconds that a server may ask to wait."""

SLOWEST = 300.0
"""The most seconds for one picture."""

LARGEST = 2**29
"""The most bytes of one picture."""

AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""The answers after which the same may be asked again."""

DEAD = 3
"""Addresses in a row that a server may not answer before it is left alone."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server sent."""

    data: bytes
    kind: str  # as it says: image/jpeg


class Unavailable(Exception):
    """What may be asked for again, after a pause in seconds if the server says one."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class Web:
    """A session with any number of servers; `documents` keeps JSON while a fetch goes on."""

    def __init__(self, rate: float, documents: Path) -> None:
        self.session = requests.Session()
        self.session.headers["User-Agent"] = f"overpaint/{version('overpaint')}"
        self.interval = 1 / rate
        self.documents = documents
        self.next_time = 0.0
        self.unanswered: Counter[str] = Counter()  # addresses in a row, by server
        self.closed: dict[str, str] = {}  # why a server is left alone

    def get(self, address: str, most: int = LARGEST) -> Answer:
        """What lies at an address, of `most` bytes at most. Raises ValueError with the reason why
        it cannot be had.
        """
        parts = urlsplit(address)
        if parts.scheme.lower() not in ("http", "https"):
            raise ValueError("no address of the web (http:// or https://)")
        if parts.netloc in self.closed:
            raise ValueError(self.closed[parts.netloc])
        for attempt in range(TRIES):
            time.sleep(max(0.0, self.next_time - time.monotonic()))
            self.next_time = time.monotonic() + self.interval
            try:
                answer = self._once(address, most)
            except Unavailable as error:
                reason, pause = str(error), error.pause or PAUSE * 2**attempt
            else:
                self.unanswered.pop(parts.netloc, None)
                return answer
            if pause > PATIENCE:
                self.closed[parts.netloc] = f"{reason}, and to come back in {duration(pause)}"
                raise ValueError(self.closed[parts.netloc])
            if attempt < TRIES - 1:
                time.sleep(pause)
        self.unanswered[parts.netloc] += 1
        if self.unanswered[parts.netloc] >= DEAD:
            self.closed[parts.netloc] = f"{reason}; left alone after {DEAD} such addresses"
        raise ValueError(f"{reason}, {TRIES} times")

    def _once(self, address: str, most: int, redirects: int = 0) -> Answer:
        try:
            with self.session.get(
                address, timeout=TIMEOUT, stream=True, allow_redirects=False
            ) as response:
                if response.is_redirect:
                    return self._once(led_to(address, response, redirects), most, redirects + 1)
                if response.ok:
                    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
                    return Answer(data=body_of(response, most), kind=kind)
                reason = f"the server says {response.status_code} {response.reason}"
                if response.status_code in AGAIN:
                    raise Unavailable(reason, asked_to_wait(response))
                raise ValueError(reason)
        except (requests.ConnectionError, requests.Timeout) as error:
            late = isinstance(error, requests.Timeout) or "timed out" in str(error)
            raise Unavailable(
                "the server is silent" if late else "the server cannot be reached"
            ) from None
        except requests.exceptions.ChunkedEncodingError:
            raise Unavailable("cut off on the way") from None
        except (requests.RequestException, LocationValueError) as error:
            raise ValueError(first_line(error)) from None

    def document(self, address: str) -> Json:
        """The JSON at an address; the same again is not asked for. Raises ValueError as `get`."""
        place = self.documents / f"{hashlib.sha256(address.encode()).hexdigest()[:24]}.json"
        if not place.is_file():
            answer = self.get(address, LARGEST_JSON)
            try:
                value = json_from(answer.data)
            except ValueError:
                raise ValueError(f"no JSON but {answer.kind or 'something else'}") from None
            if not isinstance(value, dict):
                raise ValueError("JSON that is neither a manifest nor a collection")
            write_json(place, value)
        document: Json = read_json(place)
        return document


REDIRECTS = 30
"""The most that an address may be led on."""


def led_to(address: str, response: requests.Response, redirects: int) -> str:
    """Where an answer sends us on; a ValueError for what is no place of the web, or lies inside the
    own network while the server does not: it shall learn nothing of what is there.
    """
    place = urljoin(address, response.headers["Location"])
    parts = urlsplit(place)
    if redirects == REDIRECTS:
        raise ValueError(f"the server leads on without end: {REDIRECTS} redirects")
    if parts.scheme.lower() not in ("http", "https"):
        raise ValueError(f"the server leads to {place[:100]!a}, no address of the web")
    if is_inside(parts.hostname) and not is_inside(urlsplit(address).hostname):
        raise ValueError(f"the server leads to an address inside this network ({parts.hostname})")
    return place


def is_inside(host: str | None) -> bool:
    """Whether a name leads to this machine or its own network.

    >>> is_inside("127.0.0.1"), is_inside("169.254.169.254"), is_inside("8.8.8.8")
    (True, True, False)
    """
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return any(
        not ipaddress.ip_address(str(row[4][0]).partition("%")[0]).is_global for row in found
    )


def body_of(response: requests.Response, most: int = LARGEST) -> bytes:
    """All that is sent, unless it is too much or takes too long."""
    begin, data = time.monotonic(), bytearray()
    for part in response.iter_content(2**16):
        data += part
        if len(data) > most:
            raise ValueError(f"more than {most // 2**20} MB")
        if time.monotonic() - begin > SLOWEST:
            raise ValueError(f"not here after {duration(SLOWEST)}")
    return bytes(data)


def asked_to_wait(response: requests.Response) -> float | None:
    """The seconds of a Retry-After, which may also be a date."""
    after = response.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(after) if after else None
    except InvalidHeader:
        return None
