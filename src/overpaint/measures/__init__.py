"""Pure functions of features, labels or weights: NumPy in, NumPy out, no torch, no files."""
