"""Syslog messages and what they say: the RFCs' own examples, what devices send, and what is no syslog."""

from typing import Any, NamedTuple

NOW = "2024-01-15T12:00:00Z"  # when every one of them arrives


class Log(NamedTuple):
    """What a message says, but for where it came from."""

    timestamp: str
    level: str
    message: str
    fields: dict[str, Any]


def header(facility: str, severity: str, hostname: str = "", **fields: Any) -> dict[str, Any]:
    names = {"facility": facility, "severity": severity, "hostname": hostname, **fields}
    return {name: value for name, value in names.items() if value != ""}


RFC_5424 = {
    "example 1": (
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - "
        "\ufeff'su root' failed for lonvick on /dev/pts/8",
        Log(
            "2003-10-11T22:14:15.003Z",
            "fatal",
            "'su root' failed for lonvick on /dev/pts/8",
            header("auth", "crit", "mymachine.example.com", service="su", msgid="ID47"),
        ),
    ),
    "example 2": (
        "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
        Log(
            "2003-08-24T12:14:15.000003Z",
            "info",
            "%% It's time to make the do-nuts.",
            header("local4", "notice", "192.0.2.1", service="myproc", procid="8710"),
        ),
    ),
    "example 3": (
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
        '[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] '
        "\ufeffAn application event log entry...",
        Log(
            "2003-10-11T22:14:15.003Z",
            "info",
            "An application event log entry...",
            header("local4", "notice", "mymachine.example.com", service="evntslog", msgid="ID47")
            | {"exampleSDID@32473": {"iut": "3", "eventSource": "Application", "eventID": "1011"}},
        ),
    ),
    "example 4": (
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
        '[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"]'
        '[examplePriority@32473 class="high"]',
        Log(
            "2003-10-11T22:14:15.003Z",
            "info",
            "",
            header("local4", "notice", "mymachine.example.com", service="evntslog", msgid="ID47")
            | {
                "exampleSDID@32473": {"iut": "3", "eventSource": "Application", "eventID": "1011"},
                "examplePriority@32473": {"class": "high"},
            },
        ),
    ),
}
RFC_3164 = {
    "example 1": (
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        Log(
            "2023-10-11T22:14:15Z",
            "fatal",
            "'su root' failed for lonvick on /dev/pts/8",
            header("auth", "crit", "mymachine", service="su"),
        ),
    ),
    "example 2, relayed": (
        "<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!",
        Log("2024-02-05T17:32:18Z", "info", "Use the BFG!", header("user", "notice", "10.0.0.99")),
    ),
    "example 3": (
        "<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: "
        "%% It's time to make the do-nuts.  %%  Ingredients: Mix=OK # %%",
        Log(
            "1987-08-24T11:34:00Z",
            "info",
            "%% It's time to make the do-nuts.  %%  Ingredients: Mix=OK # %%",
            header("local4", "notice", "mymachine", service="myproc", procid="10"),
        ),
    ),
    "example 4": (
        "<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!",
        Log(
            "1990-10-22T10:52:01Z",
            "fatal",
            "scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!",
            header("kern", "emerg", "TZ-6"),
        ),
    ),
}
TEN = "2024-01-15T10:00:00Z"
USER = header("user", "info", "h")
FORMS_5424 = {
    "the README's": (
        "<14>1 2024-01-15T10:00:00Z myhost api - - - Request processed",
        Log(TEN, "info", "Request processed", header("user", "info", "myhost", service="api")),
    ),
    "nothing known": ("<14>1 - - - - - - m", Log(NOW, "info", "m", header("user", "info"))),
    "nothing at all": ("<14>1 - - - - - -", Log(NOW, "info", "", header("user", "info"))),
    "no message": (f"<14>1 {TEN} h a - - -", Log(TEN, "info", "", USER | {"service": "a"})),
    "no message but a blank": (f"<14>1 {TEN} h a - - - ", Log(TEN, "info", "", USER | {"service": "a"})),
    "trailing blanks": (f"<14>1 {TEN} h a - - - m  ", Log(TEN, "info", "m  ", USER | {"service": "a"})),
    "blanks between": (f"<14>1 {TEN}  h  a  - - -  m", Log(TEN, "info", " m", USER | {"service": "a"})),
    "nanoseconds": (
        "<14>1 2024-01-15T10:00:00.123456789Z h a - - - m",
        Log("2024-01-15T10:00:00.123456789Z", "info", "m", USER | {"service": "a"}),
    ),
    "no zone": ("<14>1 2024-01-15T10:00:00 h a - - - m", Log(TEN, "info", "m", USER | {"service": "a"})),
    "a blank within the time": (
        "<14>1 2024-01-15 10:00:00 h a - - - m",
        Log(TEN, "info", "m", USER | {"service": "a"}),
    ),
    "the time of RFC 3164": (
        "<14>1 Jan 15 10:00:00 h a - - - m",
        Log(TEN, "info", "m", USER | {"service": "a"}),
    ),
    "a leap second": (
        "<14>1 2016-12-31T23:59:60Z h a - - - m",
        Log("2017-01-01T00:00:00Z", "info", "m", USER | {"service": "a"}),
    ),
    "an impossible time": (
        "<14>1 2024-13-15T10:00:00Z h a - - - m",
        Log(NOW, "info", "m", USER | {"service": "a", "original_timestamp": "2024-13-15T10:00:00Z"}),
    ),
    "no structured data": (
        f"<14>1 {TEN} h a 12 - m is here",
        Log(TEN, "info", "m is here", USER | {"service": "a", "procid": "12"}),
    ),
    "host and text alone": (f"<14>1 {TEN} h some text", Log(TEN, "info", "some text", USER)),
    "host and tag, as RFC 3164 has them": (
        f"<14>1 {TEN} h t[12]: m",
        Log(TEN, "info", "m", USER | {"service": "t", "procid": "12"}),
    ),
    "host and one word": (f"<14>1 {TEN} h CEF:0|v|p", Log(TEN, "info", "CEF:0|v|p", USER)),
    "escapes": (
        f'<14>1 {TEN} h a - - [x a="q\\"uo\\]te\\\\ \\n" b=""] m',
        Log(TEN, "info", "m", USER | {"service": "a", "x": {"a": 'q"uo]te\\ \\n', "b": ""}}),
    ),
    "a bracket that is not escaped": (
        f'<14>1 {TEN} h a - - [x a="[1]"] m',
        Log(TEN, "info", "m", USER | {"service": "a", "x": {"a": "[1]"}}),
    ),
    "an element without parameters": (
        f"<14>1 {TEN} h a - - [x] m",
        Log(TEN, "info", "m", USER | {"service": "a", "x": {}}),
    ),
    "a parameter twice": (
        f'<14>1 {TEN} h a - - [x a="1" a="2" a="3"] m',
        Log(TEN, "info", "m", USER | {"service": "a", "x": {"a": ["1", "2", "3"]}}),
    ),
    "an element twice": (
        f'<14>1 {TEN} h a - - [x a="1"][x b="2"] m',
        Log(TEN, "info", "m", USER | {"service": "a", "x": {"a": "1", "b": "2"}}),
    ),
    "an element named as a field": (
        f'<14>1 {TEN} h a - - [hostname a="1"] m',
        Log(TEN, "info", "m", USER | {"service": "a", "_hostname": {"a": "1"}}),
    ),
    "an element that is no element": (
        f"<14>1 {TEN} h a - - [not closed m",
        Log(TEN, "info", "[not closed m", USER | {"service": "a"}),
    ),
    "a bracket after the elements": (
        f'<14>1 {TEN} h a - - [x a="1"] [tag] m',
        Log(TEN, "info", "[tag] m", USER | {"service": "a", "x": {"a": "1"}}),
    ),
    "an element glued to the message": (
        f'<14>1 {TEN} h a - - [x a="1"]m',
        Log(TEN, "info", "m", USER | {"service": "a", "x": {"a": "1"}}),
    ),
    "too much structured data": (
        f"<14>1 {TEN} h a - - [x " + " ".join(f'p{n}="1"' for n in range(1001)) + "] m",
        Log(TEN, "info", "m", USER | {"service": "a"}),
    ),
    "more versions": (f"<14>2 {TEN} h a - - - m", Log(TEN, "info", "m", USER | {"service": "a"})),
    "the highest PRI": (
        f"<191>1 {TEN} h a - - - m",
        Log(TEN, "debug", "m", header("local7", "debug", "h", service="a")),
    ),
    "a PRI beyond": (
        f"<192>1 {TEN} h a - - - m",
        Log(TEN, "fatal", "m", header("24", "emerg", "h", service="a")),
    ),
    "several lines": (
        f"<14>1 {TEN} h a - - - one\n\ttwo",
        Log(TEN, "info", "one\n\ttwo", USER | {"service": "a"}),
    ),
}
FORMS_3164 = {
    "a day of one digit": (
        "<14>Jan  5 10:00:00 h t[1]: m",
        Log("2024-01-05T10:00:00Z", "info", "m", USER | {"service": "t", "procid": "1"}),
    ),
    "a zero before the day": (
        "<14>Jan 05 10:00:00 h t[1]: m",
        Log("2024-01-05T10:00:00Z", "info", "m", USER | {"service": "t", "procid": "1"}),
    ),
    "one blank before the day": (
        "<14>Jan 5 10:00:00 h t[1]: m",
        Log("2024-01-05T10:00:00Z", "info", "m", USER | {"service": "t", "procid": "1"}),
    ),
    "a blank after the PRI": ("<14> Jan 15 10:00:00 h t: m", Log(TEN, "info", "m", USER | {"service": "t"})),
    "no host": (
        "<14>Jan 15 10:00:00 t[1]: m",
        Log(TEN, "info", "m", header("user", "info", service="t", procid="1")),
    ),
    "no tag": ("<14>Jan 15 10:00:00 h some text", Log(TEN, "info", "some text", USER)),
    "no host and no tag": (
        "<14>Jan 15 10:00:00 last message repeated 3 times",
        Log(TEN, "info", "last message repeated 3 times", header("user", "info")),
    ),
    "a mark": ("<46>Jan 15 10:00:00 -- MARK --", Log(TEN, "info", "-- MARK --", header("syslog", "info"))),
    "no time": ("<14>t[1]: m", Log(NOW, "info", "m", header("user", "info", service="t", procid="1"))),
    "text alone": ("<14>Use the BFG!", Log(NOW, "info", "Use the BFG!", header("user", "info"))),
    "nothing": ("<14>", Log(NOW, "info", "", header("user", "info"))),
    "a BOM": ("<14>\ufeffm", Log(NOW, "info", "m", header("user", "info"))),
    "a path as the tag": (
        "<78>Jan 15 10:00:00 h /usr/sbin/cron[7]: m",
        Log(TEN, "info", "m", header("cron", "info", "h", service="/usr/sbin/cron", procid="7")),
    ),
    "a tag without a colon": (
        "<14>Jan 15 10:00:00 h t[1] m",
        Log(TEN, "info", "m", USER | {"service": "t", "procid": "1"}),
    ),
    "postfix": (
        "<22>Jan 15 10:00:00 h postfix/smtpd[22]: connect",
        Log(TEN, "info", "connect", header("mail", "info", "h", service="postfix/smtpd", procid="22")),
    ),
    "the kernel": (
        "<4>Jan 15 10:00:00 h kernel: [  12.3] eth0: up",
        Log(TEN, "warn", "[  12.3] eth0: up", header("kern", "warning", "h", service="kernel")),
    ),
    "IPv6": (
        "<14>Jan 15 10:00:00 fe80::1 t[1]: m",
        Log(TEN, "info", "m", header("user", "info", "fe80::1", service="t", procid="1")),
    ),
    "ISO time": (
        "<30>2024-01-15T11:00:00.5+01:00 h dockerd[12]: m",
        Log(
            "2024-01-15T10:00:00.500Z",
            "info",
            "m",
            header("daemon", "info", "h", service="dockerd", procid="12"),
        ),
    ),
    "milliseconds": (
        "<14>Jan 15 10:00:00.123 h t: m",
        Log("2024-01-15T10:00:00.123Z", "info", "m", USER | {"service": "t"}),
    ),
    "a year after the day": (
        "<14>Jan 15 2023 10:00:00 h t: m",
        Log("2023-01-15T10:00:00Z", "info", "m", USER | {"service": "t"}),
    ),
    "a year after the time": (
        "<14>Jan 15 10:00:00 2023 h t: m",
        Log("2023-01-15T10:00:00Z", "info", "m", USER | {"service": "t"}),
    ),
    "ctime": ("<14>Mon Jan 15 10:00:00 2024 h t: m", Log(TEN, "info", "m", USER | {"service": "t"})),
    "an epoch": ("<14>1705312800 h t: m", Log(TEN, "info", "m", USER | {"service": "t"})),
    "no such day": (
        "<14>Feb 30 10:00:00 h t: m",
        Log(NOW, "info", "m", USER | {"service": "t", "original_timestamp": "Feb 30 10:00:00"}),
    ),
    "no such hour": (
        "<14>Jan 15 25:00:00 h t: m",
        Log(NOW, "info", "m", USER | {"service": "t", "original_timestamp": "Jan 15 25:00:00"}),
    ),
    "JSON as text": (
        '<14>Jan 15 10:00:00 h t: {"a":1}',
        Log(TEN, "info", '{"a":1}', USER | {"service": "t"}),
    ),
    "key=value": (
        '<14>date=2024-01-15 devname="FG" msg="x: y"',
        Log(NOW, "info", 'date=2024-01-15 devname="FG" msg="x: y"', header("user", "info")),
    ),
    "Cisco IOS": (
        "<189>45: R1: 000046: *Jan 15 10:00:00.371: %SYS-5-CONFIG_I: Configured",
        Log(
            "2024-01-15T10:00:00.371Z",
            "info",
            "%SYS-5-CONFIG_I: Configured",
            header("local7", "notice", "R1", service="SYS", msgid="SYS-5-CONFIG_I", sequence="000046"),
        ),
    ),
    "Cisco IOS with a zone": (
        "<189>45: Jan 15 2024 10:00:00.371 UTC: %LINK-3-UPDOWN: up",
        Log(
            "2024-01-15T10:00:00.371Z",
            "info",
            "%LINK-3-UPDOWN: up",
            header("local7", "notice", service="LINK", msgid="LINK-3-UPDOWN", sequence="45"),
        ),
    ),
    "Cisco ASA": (
        "<166>Jan 15 2024 10:00:00 fw1 : %ASA-6-302013: Built",
        Log(
            TEN,
            "info",
            "%ASA-6-302013: Built",
            header("local4", "info", "fw1", service="ASA", msgid="ASA-6-302013"),
        ),
    ),
    "Cisco ASA without a host": (
        "<166>Jan 15 2024 10:00:00: %ASA-6-302013: Built",
        Log(
            TEN, "info", "%ASA-6-302013: Built", header("local4", "info", service="ASA", msgid="ASA-6-302013")
        ),
    ),
    "Cisco without anything": (
        "<166>%ASA-6-302013: Built",
        Log(
            NOW, "info", "%ASA-6-302013: Built", header("local4", "info", service="ASA", msgid="ASA-6-302013")
        ),
    ),
    "no PRI": (
        "Jan 15 10:00:00 h t[3]: m",
        Log(TEN, "info", "m", {"service": "t", "hostname": "h", "procid": "3"}),
    ),
    "no PRI and an ISO time": (
        "2024-01-15T10:00:00Z h t: m",
        Log(TEN, "info", "m", {"service": "t", "hostname": "h"}),
    ),
    "Cisco without a PRI": (
        "Jan 15 10:00:00: %LINK-3-UPDOWN: up",
        Log(TEN, "error", "%LINK-3-UPDOWN: up", {"service": "LINK", "msgid": "LINK-3-UPDOWN"}),
    ),
}
NO_SYSLOG = [
    "",
    "Use the BFG!",
    "<>1 m",
    "<14",
    "14>m",
    "<1234>m",
    "<-1>m",
    "2024-01-15 10:00:00 INFO main: up",
    "Jan 15 is a nice day",
    '{"a": 1}',
    "404 not found",
    " <14>m",
    "Feb 30 10:00:00 h t: m",
]
TABLE = {
    f"{origin}: {name}": case
    for origin, cases in (
        ("RFC 5424", RFC_5424),
        ("RFC 3164", RFC_3164),
        ("5424", FORMS_5424),
        ("3164", FORMS_3164),
    )
    for name, case in cases.items()
}
