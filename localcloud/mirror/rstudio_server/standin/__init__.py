"""A stand-in for RStudio Server: the sign-in of the real one, and no IDE behind it.

It reads the real one's configuration, answers its command line, and speaks its encrypted sign-in form, so
that roles, proxies and test clients meet the same surface. Where a test has put one in place of the real
one's, it starts sessions (rsession beside this, which has no R). It calls itself a stand-in wherever a person
looks. Installed in /usr/lib/rstudio-server/standin; it uses nothing but Python's own library and openssl.
"""
