"""What an instance says of itself in `/metrics`."""

import re
from collections.abc import Sequence
from typing import Final

import requests

from benchmarks.instance import Instance

WITHIN_S: Final = 30
_SAMPLE: Final = re.compile(r"^(\w+)(?:{[^}]*})? (\S+)$", re.MULTILINE)


def scrape(instance: Instance, names: Sequence[str]) -> dict[str, float]:
    """Of each metric the sum over its labels, 0 where there is none. Raises requests.RequestException."""
    headers = {"Authorization": f"Bearer {instance.api_key}"}
    answer = requests.get(f"{instance.url}/metrics", headers=headers, timeout=WITHIN_S)
    sums = dict.fromkeys(names, 0.0)
    for name, value in _SAMPLE.findall(answer.text):
        if name in sums:
            sums[name] += float(value)
    return sums
