"""Causes: whether a change mattered, tried by forwards of networks with other weights; no training.

    variants    a network with weights that are not its own, and which weights are of which layer
    rewind      the network after, with the weights of a layer set back to those before
    between     the way from one network to the other, its barrier, and what was forgotten

A score is that of the pictures of a split, a cost the paired difference from the network after.
"""
