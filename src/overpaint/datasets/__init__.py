"""Datasets: pictures with labels and fixed splits.

`kinds` lists the kinds; the file of each has its entry, which is what a study says of it, and its
reader, which makes a catalogue. `opening` opens a dataset for use; the doctor reads every picture
once, and names and leaves out those that cannot be read. Reading a study imports the entries, so
what is heavy (pandas, Pillow) is imported by the functions that need it.
"""

from overpaint.datasets.catalogue import Dataset, Picture, Split

__all__ = ["Dataset", "Picture", "Split"]
