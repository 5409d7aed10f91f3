"""What Kubernetes asks of the content of its kinds, beyond their schemas: causes by kind.

A rule takes an object with its defaults and gives every cause that the real server gives, with
the same field and reason. `validation` holds the table of kinds.

Never changes an object, never compares it with the stored one (`immutability`).
"""
