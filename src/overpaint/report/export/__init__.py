"""For a paper, for a server, beside another study."""
