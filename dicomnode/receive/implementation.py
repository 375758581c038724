"""What this node says of its implementation in an association."""

from __future__ import annotations

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

#: Implementation Class UID and Implementation Version Name of associations (PS3.7 D.3.3.2): those of the library.
IMPLEMENTATION = (str(PYNETDICOM_IMPLEMENTATION_UID), str(PYNETDICOM_IMPLEMENTATION_VERSION))
