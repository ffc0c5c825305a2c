"""The two files of user code are for the type checker: they are not run."""

collect_ignore = ["accepted.py", "refused.py"]
