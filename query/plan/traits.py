"""The rule that tells who can answer a query by itself: everyone, the text index, or the rollup."""

from query.ast import And, MatchAll, Node, Not, Or, Words
from query.catalog import Kind, field_named
from query.plan.nodes import Traits


def by_rollup(node: Node) -> bool:
    """The query speaks of level and service only: the rollup has both."""
    if isinstance(node, MatchAll):
        return True
    if isinstance(node, Words):
        return False
    if isinstance(node, Not):
        return by_rollup(node.operand)
    if isinstance(node, And | Or):
        return all(map(by_rollup, node.operands))
    field = field_named(node.field)
    return field.in_rollup and field.kind is not Kind.TIME


def traits_of(node: Node, by_index: bool) -> Traits:
    """What a query is; `by_index` is the compiler's word that its condition is the index's alone."""
    return Traits(isinstance(node, MatchAll), by_index, by_rollup(node))
