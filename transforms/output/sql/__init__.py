"""SQL views of an output, in the dialects of DuckDB, BigQuery and Spark.

views.py            the current rows and a timeline of labels
threshold_views.py  the labels that pass thresholds
dialects.py         the differences of the dialects
"""
