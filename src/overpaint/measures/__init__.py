"""Pure functions of features, labels or weights: NumPy in, numbers or rows out; no torch, no files.

How alike layers are
    centred         features about their mean, read in slices
    hsic            the sums that CKA is made of
    cka             linear CKA of two layers, biased and debiased, with its interval
    matrix          CKA of each layer of a network with each layer of another
    mergeable       CKA of images that come in shards
    similarity      Procrustes distance, nearest neighbours in common
    plane           pictures in a plane by each of two networks, and how far to trust it
    concepts        groups of pictures that one network holds together and the other does not
    weights         how far the weights of a layer moved, and each filter
    anatomy         how many directions that change has, and which of them are new

What a channel does
    maximal         the images that most excite it, and how many of them two networks share
    classes         which classes these images show, and how concentrated they are
    specialised     which channels took to classes, with the p-values
    responses       which channels respond most to a class
    matching        which channel of one network does what a channel of another does

How well a network serves
    scores          top-k, average precision, with intervals and chance
    groups          the pictures of one artist are no independent pictures
    repeats         several trainings or networks at once
    most_confident  the pictures of which a network is most confident, rightly and wrongly
    probe           what features know of the classes
    transfer        how well features would serve a collection, before any training

What follows
    verdicts        yes, no or undecided
"""
