"""What is on disk and what a row means: columns, Parquet files, sweep folders, index, ranking, archive, export."""
