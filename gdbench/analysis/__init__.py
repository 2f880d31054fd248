"""Small pure functions from DataFrame to DataFrame: what the report and the gate know of runs they know from here."""
