"""How fast a configuration trains and translates on this machine, and what the machine could do."""
