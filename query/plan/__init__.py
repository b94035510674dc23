"""How a search is answered: pure rules, one a file, from a search and facts of the table to a frozen plan."""
