"""Files of weights: opened without executing anything, and brought to their places in a network."""
