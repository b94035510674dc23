"""What a rule's process is given to carry out: made once for each version by the alert supervisor."""

from dataclasses import dataclass

from alerts.clickhouse_http import StoreUrl
from alerts.maintenance import MaintenanceWindow
from alerts.rule import Rule
from alerts.statements import RuleStatements


@dataclass(frozen=True, slots=True)
class RuleOrder:
    """A rule with its statements, the maintenance windows that may concern it, and where the store is."""

    rule: Rule
    statements: RuleStatements
    maintenance: tuple[MaintenanceWindow, ...]
    store_url: StoreUrl
    public_url: str
    history_days: int
    timeout_s: float
