"""ds-stack-spark-connect: Spark Connect on a cluster's primary, behind TLS and a token, until nobody uses it.

`document` reads what the control machine wants, `runtime` lays it out for the units, `idle` decides when
nobody is there any more. Runs on the distribution's Python, from 3.9 on.
"""
