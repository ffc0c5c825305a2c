"""How a network is fitted to a dataset, and how well it then classifies."""
