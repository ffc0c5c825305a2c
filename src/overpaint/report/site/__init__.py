"""The files of a site: templates, the search index, what stands already."""
