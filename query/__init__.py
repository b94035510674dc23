"""The query language: text to tree, tree to plan, plan to SQL."""
