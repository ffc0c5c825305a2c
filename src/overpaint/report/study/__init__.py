"""What a run left in the study folder, as the report reads it."""
