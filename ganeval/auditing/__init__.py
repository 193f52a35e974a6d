"""Do the metrics see what they should, on your own images? `ganeval audit`: the experiments of Xu et al. (2018).

The package is not called `audit`: a module of that name would hide the function `ganeval.audit`.
"""

from ganeval.auditing.report import AuditReport
from ganeval.auditing.run import audit, audit_with

__all__ = ["AuditReport", "audit", "audit_with"]
