"""Questions with a lasting answer: each folder holds one, and tests find its answer again."""
