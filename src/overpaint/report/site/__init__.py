"""The files of a site: templates, the search index, what stays from build to build."""
