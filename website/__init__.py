"""The documentation site: what MkDocs calls while it builds, and the pages that it is given from the code."""
