"""From DataFrames to what people read; all rounding and units live here."""
