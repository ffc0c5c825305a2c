"""Charts: their tables, colours and drawing, and the formats that they are written in."""
