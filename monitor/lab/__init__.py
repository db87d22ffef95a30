"""An embedded mail world on loopback: SMTP relay, IMAP servers, DNS, a toy shop, and faults to switch on live.

For the demo and the tests. It imports nothing from the rest of `monitor`, so a bug there cannot agree with a bug here.
"""

from monitor.lab.faults import Fault, FaultState, Scope
from monitor.lab.pager import Pager
from monitor.lab.world import Lab, LabSpec

__all__ = ["Fault", "FaultState", "Lab", "LabSpec", "Pager", "Scope"]
