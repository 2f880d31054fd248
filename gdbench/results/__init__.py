"""All sweeps ever run: found, named, listed, asked in SQL, packed up and removed. Their folders are the only truth."""
