"""The Spark cluster of this machine's stack.

    from ds_spark import spark          # connects when it is first used
    spark.read.parquet("s3://bucket/sales").groupBy("country").count().toPandas()

`connect` does the same at once, and says within its time what is wrong. To import this is cheap: nothing of
Spark is read before it is used.
"""

from __future__ import annotations

from .errors import ClusterError
from .session import Spark, connect

__all__ = ["ClusterError", "connect", "spark"]

spark = Spark()
