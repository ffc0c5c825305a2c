"""Pixels: decode, crop, shrink, keep, in batches; no network is known here."""
