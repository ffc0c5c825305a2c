"""Where networks look: the places of a picture at which a channel responds, what patches are alike,
and what of a picture speaks for a class; before and after.
"""
