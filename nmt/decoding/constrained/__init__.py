"""Which target pieces a search may write: constraints of the user, and the shortlist."""
